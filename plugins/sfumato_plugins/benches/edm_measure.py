"""The measuring of `sfumato bench edm`: one network, one kind of features, and what is asked of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

from sfumato_plugins.benches.edm_samples import OPTIMAL, Method, Path, Shelf, candidates, describe, kept, methods, start

Row = dict[str, Any]
Say = Callable[[str], None]
QUICK = {"images": 10_000, "warm": 2_000, "cool": 5_000, "half_life": 2_000}  # a training that is none
EXACT, COMPARED = 96, 50  # steps of Heun that stand for the exact flow; pictures compared with it
TUNING_SEED, TUNING_COUNT = 1000, 2000  # gamma is chosen on pictures that are not counted
TRIPS = 8  # pictures gone back to their noise


class Bench:
    """A network and features, and what is measured with them.

    data: Holds images/cifar10_jpeg and weights/cifar_resnet.
    work: Where everything made is kept.
    checkpoint: A trained network; None takes the one in `work`, trained there first.
    features: Which residual network, by the beginning of its file's name.
    full: Train to the end.
    compiled: Let torch compile the denoiser.
    """

    def __init__(
        self, data: Path, work: Path, checkpoint: Path | None, features: str, full: bool, compiled: bool, say: Say
    ) -> None:
        from sfumato.diffusion.fingerprint import weights_digest
        from sfumato.diffusion.frechet import Moments

        self.pictures, self.work, self.name, self.say = data / "images" / "cifar10_jpeg", work, features, say
        self.features = _features(data / "weights" / "cifar_resnet", features)
        self.network = self._trained(checkpoint, full, compiled)
        self.truth = Moments.of(self._described("train"))
        self.digest = weights_digest(self.network.state_dict())
        self.shelf = Shelf(work / self.digest[:16], _compiled(self.network, compiled), self.features, features, say)

    def case(self, calls: int, seeds: Sequence[int], count: int) -> list[Row]:
        """A row for each method at so many calls; ours with the gamma chosen on another seed is the last, `chosen`."""
        best = self._best(calls, min(count, TUNING_COUNT))
        fixed = [method for method in methods(calls) if method.name != best.name]
        rows = [self._row(method, calls, seeds, count) for method in fixed]
        return [*rows, {**self._row(best, calls, seeds, count), "chosen": True}]

    def _best(self, calls: int, count: int) -> Method:
        from sfumato.diffusion.frechet import Moments, frechet

        def distance(method: Method) -> float:
            found = frechet(Moments.of(self.shelf.described(method, TUNING_SEED, count)), self.truth)
            self.say(f"{calls} calls, choosing gamma: {method.name}: Frechet {found:.3f}")
            return found

        return min(candidates(calls), key=distance)

    def real(self) -> Row:
        """Real pictures nobody trained on: what the distance can come down to."""
        from sfumato.diffusion.frechet import Moments, frechet

        apart = frechet(Moments.of(self._described("test")), self.truth)
        return {"case": "real pictures", "method": "the test split", "calls": 0, "frechet": apart}

    def trip(self, calls: int) -> Row:
        """Noise to pictures and back on the lattice, by this network in float32: how many elements are not the same."""
        from sfumato.diffusion.bdia import make_plan
        from sfumato.diffusion.edm import bdia_sample
        from sfumato.diffusion.schedule import edm_grid
        from sfumato.diffusion.walk import arithmetic, latent, reinvert
        from sfumato.models.edm import LabelledDenoiser

        plan = make_plan(edm_grid(calls - 1), "optimal", anyway=True, start="euler")
        states = arithmetic(plan)
        noise, label = start(0, 0)
        first = states.show(states.enter(noise[:TRIPS]))
        predictor = LabelledDenoiser(self.network, label[:TRIPS])
        _, walk = bdia_sample(plan, predictor, first)
        off = latent(plan, reinvert(plan, predictor, walk)) != first
        return {"case": "noise, picture, noise", "method": OPTIMAL, "calls": 2 * calls - 3, "off": int(off.sum())}

    def _row(self, method: Method, calls: int, seeds: Sequence[int], count: int) -> Row:
        from sfumato.diffusion.frechet import Moments, frechet
        from sfumato.models.edm import LabelledDenoiser

        found = [frechet(Moments.of(self.shelf.described(method, seed, count)), self.truth) for seed in seeds]
        noise, label = start(0, 0)
        off = method.draw(LabelledDenoiser(self.network, label[:COMPARED]), noise[:COMPARED]) - self._exact()
        row = {"case": f"{calls} calls", "method": method.name, "calls": method.calls}
        row.update(interval("frechet", found), seeds=found, error=float(off.square().mean().sqrt()))
        self.say(f"{calls} calls, {method.name}: Frechet {row['frechet']:.3f}, error {row['error']:.4f}")
        return row

    def _exact(self) -> Any:
        """Where the flow of this network, in float32, takes the first pictures."""
        from sfumato.diffusion.edm import heun_sample
        from sfumato.diffusion.schedule import edm_grid
        from sfumato.models.edm import LabelledDenoiser

        noise, label = start(0, 0)
        predictor = LabelledDenoiser(self.network, label[:COMPARED])
        path = self.shelf.folder / f"exact-{EXACT}-{COMPARED}.safetensors"
        return kept(path, "pictures", lambda: heun_sample(predictor, edm_grid(EXACT), noise[:COMPARED]))

    def _trained(self, given: Path | None, full: bool, compiled: bool) -> Any:
        from sfumato.models.edm import Size
        from sfumato.models.edm_pictures import read_cifar10
        from sfumato.models.edm_training import Training, load_average, train

        whole = self.work / "edm.safetensors"
        if given or (whole.exists() and not full):
            return load_average(given or whole)
        settings = Training() if full else Training(**QUICK)  # type: ignore[arg-type]
        told = [0]

        def tell(step: Any) -> None:
            if step.step >= told[0]:
                told[0] = step.step + settings.images // 20
                self.say(f"training: {step.step} of {step.of} images, loss {step.loss:.3f}")

        checkpoint = whole if full else self.work / "edm-quick.safetensors"
        return train(Size(), settings, *read_cifar10(self.pictures, "train"), checkpoint, tell, compiled=compiled)

    def _described(self, split: Any) -> Any:
        from sfumato.models.edm_pictures import read_cifar10

        def make() -> Any:
            self.say(f"features of the {split} pictures")
            return describe(self.features, read_cifar10(self.pictures, split)[0])

        return kept(self.work / f"{self.name}-{split}.safetensors", "features", make)


def interval(name: str, values: Sequence[float]) -> Row:
    """The mean under that name, and low and high, its interval at 95 % by Student's t; one value has none."""
    from scipy.stats import t

    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return {name: mean, "low": None, "high": None}
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    half = float(t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))
    return {name: mean, "low": mean - half, "high": mean + half}


def _features(folder: Path, name: str) -> Any:
    from sfumato.errors import InputError
    from sfumato.models.edm_features import load_features

    files = sorted(folder.glob(f"{name}-*.th"))
    if not files:
        raise InputError(f"no {name} in {folder}", "give a folder whose weights/cifar_resnet has it")
    return load_features(files[0])


def _compiled(network: Any, wanted: bool) -> Any:
    if not wanted:
        return network
    import torch

    return torch.compile(network, dynamic=False)
