"""Samplers at equal calls of the network, and their pictures, kept in files so that a kill loses half a minute."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from typing import Any, Callable, Literal

Path = pathlib.Path
Say = Callable[[str], None]
Way = Literal["euler", "heun"]
CHUNK = 250  # pictures in a file
SIGMA_MAX = 80.0


@dataclass(frozen=True)
class Method:
    """A sampler with its levels chosen so that it makes `calls` calls; `draw(predictor, noise)` gives pictures."""

    name: str
    calls: int
    draw: Callable[[Any, Any], Any]

    @property
    def folder(self) -> str:
        """Its name as a folder's."""
        return f"{self.calls:03d}-" + "".join(c if c.isalnum() or c == "." else "-" for c in self.name.lower())


def edm_heun(calls: int) -> Method:
    """Karras et al.'s sampler without added noise; an odd number of calls."""
    from sfumato.diffusion.edm import heun_sample
    from sfumato.diffusion.schedule import edm_grid

    grid = edm_grid((calls - 1) // 2)
    return Method("EDM, Heun", calls, lambda predictor, noise: heun_sample(predictor, grid, noise))


def edm_euler(calls: int) -> Method:
    """The same with Euler's steps, twice as many."""
    from sfumato.diffusion.edm import euler_sample
    from sfumato.diffusion.schedule import edm_grid

    grid = edm_grid(calls - 1)
    return Method("EDM, Euler", calls, lambda predictor, noise: euler_sample(predictor, grid, noise))


def bdia(calls: int, gamma: float | str, down: Way = "euler", up: Way = "euler") -> Method:
    """BDIA-EDM on as many levels as the calls pay for, never more calls than asked."""
    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.edm import bdia_calls, bdia_sample
    from sfumato.diffusion.schedule import edm_grid

    def plan(steps: int) -> Any:
        return make_plan(edm_grid(steps), gamma, level=None, inverting=False, start="euler", down=down, up=up)

    steps = 3
    while bdia_calls(plan(steps + 1)) <= calls:
        steps += 1
    chosen = plan(steps)
    ways = {"euler": "Euler", "heun": "Heun"}
    name = f"BDIA-EDM, gamma {gamma}, {ways[down]}/{ways[up]}"
    return Method(name, bdia_calls(chosen), lambda predictor, noise: bdia_sample(chosen, predictor, noise)[0])


OPTIMAL = "BDIA-EDM, gamma optimal, Euler/Euler"


def methods(calls: int) -> list[Method]:
    """What is compared at so many calls, an odd number, besides the best of `candidates`."""
    return [edm_heun(calls), edm_euler(calls), bdia(calls, "optimal")]


def candidates(calls: int) -> list[Method]:
    """Ours with each gamma worth a try: the most accurate need not draw the best pictures of an imperfect network."""
    both = [bdia(calls, gamma) for gamma in (0.4, 0.5, 0.6, 0.7, 0.8)]
    return [bdia(calls, "optimal"), *both, *(bdia(calls, gamma, down="heun") for gamma in (0.05, 0.1, 0.2, 0.3))]


def start(seed: int, chunk: int) -> tuple[Any, Any]:
    """Noise (CHUNK, 3, 32, 32) at the highest level, and labels (CHUNK,), each as often. The same for every method."""
    import torch

    from sfumato.device import seeded

    noise = torch.randn(CHUNK, 3, 32, 32, generator=seeded(seed, "edm", "noise", chunk))
    return SIGMA_MAX * noise, torch.arange(CHUNK) % 10


class Shelf:
    """Pictures and features by method and seed, in a folder of the network's own.

    folder: Where they are kept.
    network: F, compiled or not.
    features: What the distance is measured on, and its name.
    """

    def __init__(self, folder: Path, network: Any, features: Any, name: str, say: Say) -> None:
        self.folder, self.network, self.features, self.name, self.say = folder, network, features, name, say

    def pictures(self, method: Method, seed: int, count: int) -> Any:
        """(count, 3, 32, 32) uint8; drawn where they are not there yet."""
        import torch

        chunks = [self._chunk(method, seed, i) for i in range(-(-count // CHUNK))]
        return torch.cat(chunks)[:count]

    def described(self, method: Method, seed: int, count: int) -> Any:
        """Their features (count, D)."""
        path = self.folder / method.folder / f"{self.name}-{seed}-{count}.safetensors"
        return kept(path, "features", lambda: describe(self.features, self.pictures(method, seed, count)))

    def _chunk(self, method: Method, seed: int, i: int) -> Any:
        path = self.folder / method.folder / f"{seed}-{i:03d}.safetensors"
        fresh = not path.exists()
        found = kept(path, "pictures", lambda: self._drawn(method, seed, i))
        if fresh:
            self.say(f"{method.calls} calls, {method.name}: seed {seed}, {CHUNK * (i + 1)} pictures")
        return found

    def _drawn(self, method: Method, seed: int, i: int) -> Any:
        from sfumato.models.edm import LabelledDenoiser
        from sfumato.models.edm_pictures import as_bytes

        noise, label = start(seed, i)
        return as_bytes(method.draw(LabelledDenoiser(self.network, label, bfloat16=True), noise))


def describe(network: Any, pictures: Any) -> Any:
    """Features (N, D) float32 of pictures (N, 3, 32, 32) uint8."""
    import torch

    with torch.inference_mode():
        return torch.cat([network(some) for some in pictures.split(CHUNK)])


def kept(path: Path, name: str, make: Callable[[], Any]) -> Any:
    """A tensor from a file, or made and written there whole."""
    from safetensors.torch import load, save

    from sfumato.atomic import write_bytes

    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, save({name: make().contiguous()}))
    return load(path.read_bytes())[name]
