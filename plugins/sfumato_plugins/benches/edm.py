"""`sfumato bench edm`: does BDIA-EDM make better pictures than EDM at equal calls of the network?

A class-conditional EDM denoiser is trained on CIFAR-10, and every sampler starts from the same noise. `frechet` is the
distance of its pictures from the training pictures, on the last features of a CIFAR-10 residual network that others
trained; such distances compare within this table only. `error` is how far its pictures are from where the exact flow
of this network leads, RMS, pictures in -1 .. 1. `low` and `high` bound the mean over seeds at 95 % (Student's t).

The weights it trains stay in its work folder: the pictures are CIFAR-10's, lossy here and for research only, so the
product ships neither.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Callable

from sfumato_plugins.benches.edm_samples import Method, Path, Shelf, bdia, describe, edm_euler, edm_heun, kept, start
from sfumato_plugins.benches.table import as_table

Row = dict[str, Any]
Say = Callable[[str], None]
BUDGETS, SEEDS, COUNT = (17, 35), (0, 1, 2), 10_000  # of the whole protocol
QUICK_COUNT, QUICK_SEEDS, QUICK_IMAGES = 500, (0, 1), 10_000
WORK = "sfumato-bench-edm"
EXACT, COMPARED = 96, 50  # steps of Heun that stand for the exact flow; pictures compared with it


def run(
    data: Path | str,
    *,
    work: Path | str = WORK,
    checkpoint: Path | str | None = None,
    features: str = "resnet56",
    seeds: Sequence[int] | None = None,
    budgets: Sequence[int] | None = None,
    full: bool = False,
    compiled: bool = False,
    say: Say = lambda line: None,
) -> dict[str, Any]:
    """Train if need be, sample, measure.

    Args:
        data: Holds images/cifar10_jpeg (or the binary version there) and weights/cifar_resnet.
        work: Where checkpoint, pictures and features are kept; a run that was killed goes on from there.
        checkpoint: A trained one; default: the one in `work`, trained there first.
        features: Which residual network, by the beginning of its file's name.
        seeds: Only these; several processes may share the work, one seed each.
        budgets: Calls of the network a picture, odd numbers of 11 or more; default: 17, with `full` also EDM's own 35.
        full: 10,000 pictures a method, seed and budget, from a network trained to the end. Otherwise a few, from
            whatever network there is or a barely trained one: not the numbers to quote.
        compiled: Let torch compile the network; a third faster, needs a C++ compiler.
        say: Gets a line for each thing done, for people.

    Returns:
        The bench document, with `differences` beside its rows: Frechet distances of BDIA-EDM less EDM's, by seed.

    Raises:
        InputError: pictures or weights are missing.
        RequestError: the checkpoint is none, or was trained with other settings; a budget nobody can meet.
    """
    import sfumato
    from sfumato.device import describe as described
    from sfumato.device import pick_device
    from sfumato.errors import RequestError

    allowed = tuple(budgets or (BUDGETS if full else BUDGETS[:1]))
    if any(calls < 11 or calls % 2 == 0 for calls in allowed):
        raise RequestError("Heun's sampler makes an odd number of calls", "give odd numbers of 11 or more")
    bench = _Bench(Path(data), Path(work), features, full, compiled, say)
    bench.prepare(Path(checkpoint) if checkpoint else None)
    chosen, count = tuple(seeds or (SEEDS if full else QUICK_SEEDS)), COUNT if full else QUICK_COUNT
    cases = [bench.case(calls, chosen, count) for calls in allowed]
    rows = [row for case in cases for row in case]
    apart = [difference for case in cases for difference in _differences(case)]
    return {
        "bench": "edm",
        "version": sfumato.__version__,
        "device": described(pick_device("cpu")),
        "settings": {"full": full, "seeds": chosen, "pictures": count, "features": features, **bench.about},
        "rows": [*rows, *bench.real()],
        "means": {},
        "differences": apart,
        "targets": [
            {"name": _named(d), "value": round(d["difference"], 4), "bound": "<= 0", "met": d["difference"] <= 0}
            for d in apart
            if d["method"] == BEST
        ],
    }


def methods(calls: int) -> list[Method]:
    """What is compared at so many calls, an odd number."""
    return [
        edm_heun(calls),
        edm_euler(calls),
        bdia(calls, "optimal"),
        bdia(calls, 0.4 if calls < 25 else 0.7),  # the best constant on a mixture of Gaussians
        bdia(calls, 0.1, down="heun"),  # the paper's increments; more gamma is worse there
    ]


BEST = "BDIA-EDM, gamma optimal, Euler/Euler"
"""Which of ours is held against EDM."""


def as_text(document: dict[str, Any]) -> str:
    """The document for people."""
    columns = ("case", "method", "calls", "frechet", "low", "high", "error")
    return "\n\n".join(
        (
            as_table(document["rows"], columns),
            "Frechet distance less EDM's, same noise\n"
            + as_table(document["differences"], ("case", "method", "against", "difference", "low", "high")),
            as_table(document["targets"], ("name", "value", "bound", "met")),
            f"sfumato {document['version']}, {document['device']}",
        )
    )


class _Bench:
    """One network, one kind of features, and what is measured with them."""

    def __init__(self, data: Path, work: Path, features: str, full: bool, compiled: bool, say: Say) -> None:
        self.pictures, self.weights = data / "images" / "cifar10_jpeg", data / "weights" / "cifar_resnet"
        self.work, self.name, self.full, self.compiled, self.say = work, features, full, compiled, say
        self.about: Row = {}

    def prepare(self, checkpoint: Path | None) -> None:
        """Networks, and the moments of the pictures the denoiser was trained on."""
        from sfumato.diffusion.fingerprint import weights_digest
        from sfumato.diffusion.frechet import Moments

        self.features = self._features()
        self.network = self._trained(checkpoint)
        self.truth = Moments.of(self._described("train"))
        digest = weights_digest(self.network.state_dict())
        self.about = {"network": digest, "compiled": self.compiled, "bfloat16": True}
        run: Any = self.network
        if self.compiled:
            import torch

            run = torch.compile(self.network, dynamic=False)
        self.shelf = Shelf(self.work / digest[:16], run, self.features, self.name, self.say)

    def case(self, calls: int, seeds: tuple[int, ...], count: int) -> list[Row]:
        """A row for each method at so many calls."""
        exact = self._exact()
        return [self._row(method, calls, seeds, count, exact) for method in methods(calls)]

    def real(self) -> list[Row]:
        """Real pictures nobody trained on: what the distance can come down to."""
        from sfumato.diffusion.frechet import Moments, frechet

        apart = frechet(Moments.of(self._described("test")), self.truth)
        return [{"case": "real pictures", "method": "the test split", "calls": 0, "frechet": apart}]

    def _row(self, method: Method, calls: int, seeds: tuple[int, ...], count: int, exact: Any) -> Row:
        from sfumato.diffusion.frechet import Moments, frechet
        from sfumato.models.edm import LabelledDenoiser

        found = [frechet(Moments.of(self.shelf.described(method, seed, count)), self.truth) for seed in seeds]
        noise, label = start(0, 0)
        off = method.draw(LabelledDenoiser(self.network, label[:COMPARED]), noise[:COMPARED]) - exact
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

    def _trained(self, given: Path | None) -> Any:
        from sfumato.models.edm import Size
        from sfumato.models.edm_pictures import read_cifar10
        from sfumato.models.edm_training import Training, load_average, train

        whole = self.work / "edm.safetensors"
        if given or (whole.exists() and not self.full):
            return load_average(given or whole)
        settings, checkpoint = Training(), whole
        if not self.full:
            settings = Training(images=QUICK_IMAGES, warm=2_000, cool=5_000, half_life=2_000)
            checkpoint = self.work / "edm-quick.safetensors"
        told = [0]

        def tell(step: Any) -> None:
            if step.step >= told[0]:
                told[0] = step.step + settings.images // 20
                self.say(f"training: {step.step} of {step.of} images, loss {step.loss:.3f}")

        pictures = read_cifar10(self.pictures, "train")
        return train(Size(), settings, *pictures, checkpoint, tell, compiled=self.compiled)

    def _described(self, split: str) -> Any:
        from sfumato.models.edm_pictures import read_cifar10

        self.say(f"features of the {split} pictures")
        path = self.work / f"{self.name}-{split}.safetensors"
        return kept(path, "features", lambda: describe(self.features, read_cifar10(self.pictures, split)[0]))  # type: ignore[arg-type]

    def _features(self) -> Any:
        from sfumato.errors import InputError
        from sfumato.models.edm_features import load_features

        files = sorted(self.weights.glob(f"{self.name}-*.th"))
        if not files:
            raise InputError(f"no {self.name} in {self.weights}", "give a folder whose weights/cifar_resnet has it")
        return load_features(files[0])


def interval(name: str, values: Sequence[float]) -> Row:
    """The mean under that name, and low and high, its interval at 95 % by Student's t; one value has none."""
    from scipy.stats import t

    mean = math.fsum(values) / len(values)
    if len(values) < 2:
        return {name: mean, "low": None, "high": None}
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (len(values) - 1))
    half = float(t.ppf(0.975, len(values) - 1)) * deviation / math.sqrt(len(values))
    return {name: mean, "low": mean - half, "high": mean + half}


def _differences(rows: list[Row]) -> list[Row]:
    """Ours less theirs, seed by seed: both saw the same noise, so what seeds have in common falls out."""
    theirs = [row for row in rows if row["method"].startswith("EDM")]
    found = []
    for ours in (row for row in rows if row not in theirs):
        for peer in theirs:
            row = {"case": ours["case"], "method": ours["method"], "against": peer["method"]}
            apart = [a - b for a, b in zip(ours["seeds"], peer["seeds"])]
            found.append({**row, **interval("difference", apart), "seeds": apart})
    return found


def _named(difference: Row) -> str:
    return f"{difference['case']}: Frechet distance of BDIA-EDM less that of {difference['against']}"
