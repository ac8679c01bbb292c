"""Colour spaces: which config, what space a plate is in, to linear light and back to a display. The only file that
imports PyOpenColorIO. Names and configs need no torch.

A plate never leaves its own primaries: linear means that a transfer curve was undone, no more.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PyOpenColorIO as ocio  # noqa: N813

from sfumato.errors import RequestError
from sfumato.plate import RGB, Plate
from sfumato.primaries import SRGB
from sfumato.spaces import space_of

if TYPE_CHECKING:
    import torch

BUILTIN_CONFIG = "studio-config-v2.2.0_aces-v1.3_ocio-v2.4"


class Config:
    """An OCIO config, chosen aloud.

    name: Path of the config, or the full name of a built-in one.
    hash: SHA-256 of its text; of the LUT files it points to only if they are inside it (.ocioz).
    source: A sentence for people: which config, and who asked for it.
    context: The context variables it uses and their values; they travel with a job.
    spaces: Names of its colour spaces, without aliases.
    """

    def __init__(self, given: str, asked: str, context: Mapping[str, str] | None = None) -> None:
        self.name, text = _text(given, asked)
        self.hash = hashlib.sha256(text).hexdigest()
        self.source = f"OCIO config {self.name}, {asked}"
        try:
            self._config = ocio.Config.CreateFromFile(f"ocio://{self.name}" if _builtin(self.name) else self.name)
        except ocio.Exception as error:
            raise RequestError(f"{self.source} cannot be used: {error}", "name another config, or repair it") from error
        self._context = self._config.getCurrentContext()
        for key, value in (context or {}).items():
            self._context.setStringVar(key, value)
        used = {a or b for a, b in re.findall(r"\$\{?(\w+)|%(\w+)%", text.decode("utf-8", "ignore"))}
        used |= {*self._config.getEnvironmentVarNames(), *(context or {})}
        self.context = {key: value for key, value in sorted(self._context.getStringVars()) if key in used}
        self.spaces: tuple[str, ...] = tuple(self._config.getColorSpaceNames())

    def has(self, space: str) -> bool:
        """Whether `space` is a colour space, an alias or a role of this config."""
        return self._config.getColorSpace(space) is not None

    def canonical(self, space: str) -> str:
        """The config's own name for a space, alias or role.

        Raises:
            RequestError: the config has none of that name; the hint lists the nearest.
        """
        found = self._config.getColorSpace(space)
        if found is None:
            near = self.nearest(space)
            hint = f"did you mean {' or '.join(near)}?" if near else f"it has {', '.join(self.spaces[:40])}"
            raise RequestError(f"colour space {space} is not in {self.name}", hint)
        return str(found.getName())

    def first(self, names: tuple[str, ...]) -> str | None:
        """The first of several names that this config knows, as it calls it."""
        return next((self.canonical(name) for name in names if self.has(name)), None)

    def nearest(self, name: str) -> list[str]:
        """Up to five spaces whose name or alias resembles `name`, best first."""
        wanted = _squeezed(name)
        scores = []
        for space in self.spaces:
            known = [_squeezed(n) for n in (space, *self._config.getColorSpace(space).getAliases())]
            inside = any(wanted in n for n in known) if len(wanted) > 1 else False
            alike = max(difflib.SequenceMatcher(None, wanted, n).ratio() for n in known)
            scores.append((alike + inside, space))
        best = sorted((s for s in scores if s[0] > 0.55), key=lambda s: -s[0])
        return [space for _, space in best[:5]]

    def is_linear(self, space: str) -> bool:
        """Whether values of this space are proportional to light in the scene."""
        return bool(self._config.isColorSpaceLinear(space, ocio.REFERENCE_SPACE_SCENE)) and not self.is_data(space)

    def is_data(self, space: str) -> bool:
        return bool(self._config.getColorSpace(space).isData())

    def is_display(self, space: str) -> bool:
        """Whether values of this space can be looked at as they are (sRGB and its like)."""
        found = self._config.getColorSpace(space)
        display = found.getReferenceSpaceType() == ocio.REFERENCE_SPACE_DISPLAY
        return display or "video" in found.getEncoding() or any(found.hasAlias(n) or space == n for n in SRGB)

    @lru_cache(maxsize=64)  # noqa: B019 a process has one or two configs
    def linear_like(self, space: str) -> str | None:
        """The config's linear space with the primaries of `space`: the one that differs by a curve per channel only.

        Found by measuring: a probe in which one channel moves must move no other. None if there is no such space.
        """
        if self.is_linear(space) or self.is_data(space):
            return self.canonical(space)
        best, least = None, 1e-4
        for candidate in self.spaces:
            if self.is_linear(candidate) and (crosstalk := self._crosstalk(space, candidate)) < least:
                best, least = candidate, crosstalk
        return best

    def transform(self, rgb: torch.Tensor, source: str, target: str) -> torch.Tensor:
        """Convert (3, H, W) float32 from one space to another; a pixel with NaN or infinity stays as it is."""
        return _applied(rgb, self._processor(source, target))

    def undo_curve(self, rgb: torch.Tensor, space: str, linear: str) -> torch.Tensor:
        """(3, H, W) of `space` -> the linear space with its primaries (`linear_like`), each channel by itself.

        Every channel goes through as a grey. Sent as colours, saturated ones would be clipped on the way: OCIO goes
        through ACES2065-1, and ACEScc cuts its negatives (a green of 36 then moved red by 0.005).
        """
        alone = rgb.clone()
        for index, channel in enumerate(rgb):
            alone[index] = self.transform(channel.expand(3, -1, -1), space, linear)[index]
        return alone.where(rgb.isfinite().all(0, keepdim=True), rgb)

    def view(self, rgb: torch.Tensor, space: str, display: str | None = None, view: str | None = None) -> torch.Tensor:
        """(3, H, W) of `space` as the display shows it through a view; the config's default ones if not told."""
        display = display or self._config.getDefaultDisplay()
        if not display:
            raise RequestError(f"{self.name} has no display to show pictures on", "name another config for the review")
        view = view or self._config.getDefaultView(display)
        picture = ocio.DisplayViewTransform(src=space, display=display, view=view)
        try:
            processor = self._config.getProcessor(self._context, picture, ocio.TRANSFORM_DIR_FORWARD)
        except ocio.Exception as error:
            there = [f"{d}: {', '.join(self._config.getViews(d))}" for d in self._config.getDisplays()]
            raise RequestError(f"no view {view} of {display} in {self.name}: {error}", "; ".join(there)) from error
        return _applied(rgb, processor)

    def _processor(self, source: str, target: str) -> Any:
        try:
            return self._config.getProcessor(self._context, self.canonical(source), self.canonical(target))
        except ocio.Exception as error:
            raise RequestError(
                f"{self.name} cannot convert {source} to {target}: {error}", "repair the config"
            ) from error

    def _crosstalk(self, source: str, target: str) -> float:
        probe = np.array([[0.4, 0.4, 0.4], [0.6, 0.4, 0.4], [0.4, 0.6, 0.4], [0.4, 0.4, 0.6]], np.float32)
        try:
            _cpu(self._processor(source, target)).applyRGB(probe)
        except (RequestError, ocio.Exception):  # a space whose LUT is missing is no candidate
            return float("inf")
        moved = np.abs(probe[1:] - probe[0])
        return float((moved[~np.eye(3, dtype=bool)] / moved.max()).max()) if moved.max() > 0 else float("inf")


def choose_config(explicit: str | None, env_ocio: str | None, context: Mapping[str, str] | None = None) -> Config:
    """The show's config: the one named (by the host or the job), else $OCIO's, else our pinned built-in one.

    Args:
        explicit, env_ocio: A path (.ocio, .ocioz), a built-in config's name or "ocio://NAME"; None or "" if not given.
        context: OCIO context variables that win over the environment's.

    Raises:
        RequestError: the first one given does not exist or is broken. It is never skipped in silence.
    """
    if explicit:
        return Config(explicit, "named by the host or the job", context)
    if env_ocio:
        return Config(env_ocio, "from $OCIO", context)
    return Config(BUILTIN_CONFIG, "built in (no config was named and $OCIO is not set)", context)


def to_linear(plate: Plate, config: Config, declared: str | None) -> tuple[Plate, str]:
    """Undo a plate's transfer curve, keeping its primaries; and a note for people about what was done.

    Linear plates come back with their space named and their bits untouched. Display-coded integers stay as they are,
    unless they were declared to be a log or linear space. The result's `space` is what a file of results must say.
    Only R, G, B are converted; A and layers never; a pixel with NaN or infinity keeps its bits.

    Raises:
        RequestError: no such space, or none in the config with the same primaries and linear.
    """
    space, why = (config.canonical(declared), "as declared") if declared else space_of(plate, config)
    if space is None:
        return plate.replace(space=None), why
    if plate.coded and (not declared or config.is_display(space)):
        return plate.replace(space=space), f"{space}, {why}: display-coded, taken in its own values"
    if config.has(space) and config.is_data(space):
        return plate.replace(space=space, coded=False), f"{space}, {why}: data, not converted"
    target = config.linear_like(space)
    if target is None:
        hint = "convert the plate to a linear space first, or declare another"
        raise RequestError(f"{config.name} has no linear space with the primaries of {space}", hint)
    if target == space:
        return plate.replace(space=space, coded=False), f"{space}, {why}: linear, not converted"
    pixels = plate.pixels.clone()
    where = [plate.channels.index(name) for name in RGB if name in plate.channels]
    if len(where) != 3:
        raise RequestError(f"{space} needs R, G and B, and the plate has {', '.join(plate.channels)}", "give the layer")
    pixels[where] = config.undo_curve(plate.rgb(), space, target)
    return plate.replace(pixels=pixels, space=target, coded=False), f"{space}, {why}: made linear, as {target}"


def display(
    rgb: torch.Tensor, config: Config, space: str | None, *, display: str | None = None, view: str | None = None
) -> torch.Tensor:
    """A picture to look at: (3, H, W) in `space` -> (3, H, W) in 0..1, display-coded; NaN and infinity become 0.

    Through the config's default display and view unless told. Display-coded values, or no space, are only clipped.
    A view cannot be undone: nothing is computed from what comes back.
    """
    finite = rgb.where(rgb.isfinite(), rgb.new_zeros(()))
    if space is not None and config.has(space) and not config.is_display(space) and not config.is_data(space):
        finite = config.view(finite, config.canonical(space), display, view)
    return finite.nan_to_num(0.0).clamp(0.0, 1.0)


def _builtin(name: str) -> bool:
    return name in [entry[0] for entry in ocio.BuiltinConfigRegistry().getBuiltinConfigs()]


def _text(given: str, asked: str) -> tuple[str, bytes]:
    """Name and content of a config given by path or name; "ocio://default" is resolved to the version it means."""
    name = str(ocio.ResolveConfigPath(given)).removeprefix("ocio://") if given.startswith("ocio://") else given
    if _builtin(name):
        return name, str(ocio.BuiltinConfigRegistry()[name]).encode()
    try:
        return name, Path(name).read_bytes()
    except OSError as error:
        hint = f"give the path of a config.ocio, or a built-in one such as {BUILTIN_CONFIG}"
        raise RequestError(f"OCIO config {given}, {asked}, cannot be read: {error.strerror}", hint) from error


def _squeezed(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _cpu(processor: Any) -> Any:
    return processor.getOptimizedCPUProcessor(ocio.BIT_DEPTH_F32, ocio.BIT_DEPTH_F32, ocio.OPTIMIZATION_LOSSLESS)


def _applied(rgb: torch.Tensor, processor: Any) -> torch.Tensor:
    import torch

    pixels = np.array(rgb.detach().cpu().permute(1, 2, 0).numpy(), np.float32, order="C")
    _cpu(processor).applyRGB(pixels.reshape(-1, 3))
    turned = torch.from_numpy(pixels).permute(2, 0, 1).contiguous().to(rgb.device)
    return turned.where(rgb.isfinite().all(0, keepdim=True), rgb)
