"""A trained solver as one file: networks for the jaw and for each region, and what they have learned from.

safetensors with a JSON header; nothing in it can run. It records the actor, where consent is filed, the date and a
digest of every take it has seen.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sfumato.atomic import write_bytes
from sfumato.errors import InputError
from sfumato.face.curves import Curves
from sfumato.face.denoise import Denoiser, steadied
from sfumato.face.features import Graph, believed, graph_features
from sfumato.face.markers import Markers
from sfumato.face.networks import Net

SCHEMA = "sfumato.solver/1"
AHEAD = 0.025  # seconds: the width of the mean over time that a whole take is looked at with


@dataclass(frozen=True)
class Part:
    """One network: the controls it answers, and the edges of the graph that it looks at, (E',)."""

    name: str
    controls: tuple[str, ...]
    edges: Tensor
    net: Net

    def __call__(self, features: Tensor, given: Tensor | None = None) -> Tensor:
        """Features (F, E, 4) of all edges, and the controls that are known, to its own (F, K')."""
        return self.net(features[:, self.edges].flatten(1), given)


@dataclass(frozen=True)
class SolverFile:
    """What was learned.

    controls: All of the rig's, in its order. lower, upper: (K,) limits.
    names: Of the markers. graph: Between them, with the actor's neutral. denoiser: Their faces.
    first: The jaw's network; None for a rig without a jaw. parts: The others; those that share markers with the jaw are
    given its controls (`Net.takes`).
    weight: (K,) 1 / variance of each control's error on takes that it had not seen.
    ahead: Seconds that it looks to both sides of a frame, one standard deviation; 0 for live use.
    actor, consent, date: Who, where the consent is filed, when. learned_from: a line for each take.
    about: Numbers of the training.
    """

    controls: tuple[str, ...]
    lower: Tensor
    upper: Tensor
    names: tuple[str, ...]
    graph: Graph
    denoiser: Denoiser
    first: Part | None
    parts: tuple[Part, ...]
    weight: Tensor
    actor: str = ""
    consent: str = ""
    date: str = ""
    learned_from: tuple[str, ...] = ()
    about: Mapping[str, float] = field(default_factory=dict)
    ahead: float = AHEAD

    def jaw(self, clean: Markers, confidence: Tensor) -> Curves:
        """The jaw's controls; none for a rig without a jaw.

        Args:
            clean: The head still. confidence: (F, M) of these markers.

        Raises:
            RequestError: too few of the markers it was trained on are in the take.
        """
        if self.first is None:
            return self._curves(clean, (), torch.zeros(len(clean.positions), 0))
        features = self._features(clean, confidence)
        return self._curves(clean, self.first.controls, self.first(features))

    def regions(self, clean: Markers, confidence: Tensor, jaw: Curves) -> Curves:
        """All controls, given the jaw's, which stay as they are.

        Raises:
            RequestError: too few of the markers are in the take, or the jaw lacks a control.
        """
        given = jaw.only(self.first.controls).values if self.first else torch.zeros(len(clean.positions), 0)
        values = torch.zeros(len(clean.positions), len(self.controls), dtype=torch.float64)
        features = self._features(clean, confidence)
        for part in self.parts:
            answer = self._curves(clean, part.controls, part(features, given))
            values[:, [self.controls.index(name) for name in part.controls]] = answer.values
        for name in self.first.controls if self.first else ():
            values[:, self.controls.index(name)] = jaw.of(name)
        return Curves(self.controls, clean.frames, values, clean.timeline_fps, jaw.locked)

    def on(self, rest: Tensor) -> SolverFile:
        """The same on another day: `rest` (M, 3) is where its markers lie on that day's neutral."""
        return replace(self, graph=self.graph.on(rest))

    def features(self, positions: Tensor, sure: Tensor, reach: float = 0.0) -> Tensor:
        """(F, E, 4) float32 of markers (F, M, 3) believed `sure` (F, M): of the faces they show, on the day of
        the training; reach: of the mean over time, in frames."""
        moved = steadied(self.denoiser(positions - self.graph.rest, sure), reach)
        return graph_features(self.graph.on(self.denoiser.rest), self.denoiser.rest + moved)[0].float()

    def _features(self, clean: Markers, confidence: Tensor) -> Tensor:
        positions, sure = believed(clean, confidence, self.names)
        return self.features(positions, sure, self.ahead * clean.fps)

    def _curves(self, clean: Markers, names: tuple[str, ...], values: Tensor) -> Curves:
        rows = [self.controls.index(name) for name in names]
        kept = torch.minimum(torch.maximum(values.double(), self.lower[rows]), self.upper[rows])
        return Curves(names, clean.frames, kept, clean.timeline_fps)

    def save(self, path: str | Path) -> None:
        """Write it; the file appears whole or not at all."""
        tensors = {"edges": self.graph.edges, "rest": self.graph.rest, "weight": self.weight}
        tensors |= {"lower": self.lower, "upper": self.upper, **self.denoiser.tensors()}
        parts = [*([self.first] if self.first else []), *self.parts]
        for part in parts:
            tensors |= {f"{part.name}.edges": part.edges, **part.net.tensors(part.name)}
        said = {
            "controls": self.controls,
            "names": self.names,
            "parts": [[part.name, part.controls] for part in parts],
            "jaw": self.first is not None,
            "actor": self.actor,
            "consent": self.consent,
            "date": self.date,
            "learned_from": self.learned_from,
            "about": dict(self.about),
        }
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        write_bytes(path, _ordered(save(whole, {"schema": SCHEMA, "sfumato": json.dumps(said)})))


def _ordered(data: bytes) -> bytes:
    """A safetensors file with its header in order, so that one solver is always the same bytes; spaces fill it up."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def load_solver(path: str | Path) -> SolverFile:
    """Read one.

    Raises:
        InputError: not there, not safetensors, no solver, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path} is not there", "train one with: sfumato face train")
    try:
        with safe_open(str(path), "pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path.name} is no safetensors file: {error}", "train the solver again") from None
    if header.get("schema") != SCHEMA:
        raise InputError(f"{path.name} is no facial solver of {SCHEMA}", "give a file that sfumato face train wrote")
    try:
        return _solver(json.loads(header["sfumato"]), tensors)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{path.name} is damaged: {error}", "train the solver again") from None


def _solver(said: Mapping[str, object], tensors: Mapping[str, Tensor]) -> SolverFile:
    def texts(key: str) -> tuple[str, ...]:
        found = said[key]
        if not isinstance(found, list):
            raise TypeError(key)
        return tuple(map(str, found))

    named = said["parts"]
    if not isinstance(named, list):
        raise TypeError("parts")
    parts = [Part(str(n), tuple(c), tensors[f"{n}.edges"], Net.from_tensors(str(n), tensors)) for n, c in named]
    about = said["about"]
    return SolverFile(
        texts("controls"),
        tensors["lower"],
        tensors["upper"],
        texts("names"),
        Graph(tensors["edges"], tensors["rest"]),
        Denoiser.from_tensors(tensors),
        parts[0] if said["jaw"] else None,
        tuple(parts[1:] if said["jaw"] else parts),
        tensors["weight"],
        str(said["actor"]),
        str(said["consent"]),
        str(said["date"]),
        texts("learned_from"),
        about if isinstance(about, dict) else {},
    )
