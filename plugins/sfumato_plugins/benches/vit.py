"""The part of `sfumato bench reversible` that asks whether training reversibly also makes a network better.

A vision transformer of 6 blocks of width 128 learns CIFAR-10 four ways, with the same pictures in the same order, first
weights, flips, shifts and steps; the random signs of gamma are to act as dropout and stochastic depth do.

`accuracy`: share of the test pictures, percent, after the last epoch. `over`: points over plain training, seed by seed,
with the 95 % interval `low` to `high` of its mean (Student's t). `paper`: what Zhang et al. print for plain and
reversible training of 6 blocks, at their own length of training; they print neither dropout nor stochastic depth.
"""

from __future__ import annotations

import math
import pathlib
from dataclasses import asdict
from typing import Any, Callable

from sfumato_plugins.benches.table import Rows, target
from sfumato_plugins.benches.vit_train import FULL, SHORT, Pictures, Recipe, load, trained

Row = dict[str, Any]
Say = Callable[[str], None]
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "reversible": {"bits": 1},
    "dropout .1": {"drop": 0.1},
    "stochastic depth .1": {"skip": 0.1},
}
PAPER = {"plain": 88.15, "reversible": 89.10}
COLUMNS = {"vit means": ("method", "pictures", "epochs", "seeds", "accuracy", "over", "low", "high", "paper")}
# 0.975 quantile of Student's t at 1, 2, ... degrees of freedom
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
MOST = len(STUDENT) + 1  # seeds


def measure(
    data: str, full: bool, seeds: list[int] | None, work: str | None, device: str, say: Say = lambda line: None
) -> list[Row]:
    """All of this part.

    Args:
        data: A folder with cifar10_jpeg in it.
        full: All pictures, 40 epochs, seeds 0 to 4; else few pictures and epochs, seed 0.
        seeds: Others. work: A folder where finished runs are kept. device: auto, cpu, cuda.

    Raises:
        InputError: the pictures are not there. RequestError: too many seeds; no such device.
    """
    from sfumato.device import pick_device
    from sfumato.errors import RequestError

    seeds = seeds or list(range(5 if full else 1))
    if len(seeds) > MOST:
        raise RequestError(f"{len(seeds)} seeds", f"up to {MOST}")
    pictures = load(pathlib.Path(data) / "cifar10_jpeg")
    folder = pathlib.Path(work) if work else None
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
    return rows(pictures, FULL if full else SHORT, seeds, str(pick_device(device)), folder, say)


def rows(
    pictures: Pictures, recipe: Recipe, seeds: list[int], device: str = "cpu", work: pathlib.Path | None = None,
    say: Say = lambda line: None,
) -> list[Row]:  # fmt: skip
    """A row for every way and seed, and one of means for every way.

    Args:
        pictures: See `load`.
        device: That torch knows.
        work: A folder where finished runs are kept and found again.
    """
    import sfumato

    kept = Rows(work / "vit.jsonl" if work else None)
    found = []
    for seed in seeds:
        for way in WAYS:
            key = Rows.key(way=way, seed=seed, device=device, version=sfumato.__version__, **asdict(recipe))
            row = kept.get(key)
            if row is None:
                measured = trained(pictures, recipe, seed, device, **WAYS[way])
                row = {"case": "vit", "method": way, "seed": seed, **measured}
                kept.put(key, row)
            found.append(row)
            say(f"vit, {way}, seed {seed}: {row['accuracy']:.2f} %")
    return [*found, *({**row, "pictures": recipe.pictures, "epochs": recipe.epochs} for row in compared(found))]


def compared(found: list[Row]) -> list[Row]:
    """The mean of every way, and how far it is over plain training."""
    known = {(row["method"], row["seed"]): row["accuracy"] for row in found}
    seeds = sorted({seed for _, seed in known})
    rows = []
    for way in WAYS:
        gains = [known[way, seed] - known["plain", seed] for seed in seeds]
        mean, half = interval(gains)
        accuracy = math.fsum(known[way, seed] for seed in seeds) / len(seeds)
        row = {"case": "vit means", "method": way, "seeds": len(seeds), "accuracy": accuracy, "paper": PAPER.get(way)}
        if way != "plain":
            row["over"] = mean
            row |= {} if half is None else {"low": mean - half, "high": mean + half}
        rows.append(row)
    return rows


def interval(values: list[float]) -> tuple[float, float | None]:
    """The mean, and half of its 95 % interval; None for a single value."""
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return mean, None
    spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    return mean, STUDENT[count - 2] * spread / math.sqrt(count)


def targets(found: list[Row]) -> list[Row]:
    """What the issue of reversible training asks of accuracy: half a point, and more than chance."""
    row = next(row for row in found if row["case"] == "vit means" and row["method"] == "reversible")
    return [
        target("vit: points over plain training", row["over"], ">=", 0.5),
        target("vit: low end of their 95 % interval", row.get("low"), ">=", 0.0),
    ]
