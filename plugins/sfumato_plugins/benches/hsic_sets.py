"""Digits, clothes, small pictures: bodies trained by HSIC, by back-propagation, with local heads, and read out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.hsic_data import Pictures
from sfumato_plugins.benches.hsic_ways import backward_step, head, hsic_step, local_step, right, trained, weights_of
from sfumato_plugins.benches.table import Rows, as_table

if TYPE_CHECKING:
    from torch import Tensor, nn

Row = dict[str, Any]
Say = Callable[[str], None]
SEEDS, DEPTH, WIDTH, EPOCHS, SIGMA, BETA, CLASSES = (0, 1, 2), 5, 1024, 5, 5.0, 500.0, 10
RATE = 1e-3
PEER_RATES = {  # the best of four and of three
    "mnist": {"back-propagation": 0.1, "local heads": 0.03},
    "fashion": {"back-propagation": 0.1, "local heads": 0.03},
    "cifar10": {"back-propagation": 0.02, "local heads": 0.03},
}
PAPER = {"mnist": (96.88, 97.81), "fashion": (86.48, 87.37), "cifar10": (48.77, 50.12)}  # units, back-propagation
CONV_PAPER, CONV_EPOCHS, CONV_WIDTH, HALVED = (60.86, 61.09), 2, 64, (True, True, False)
COLUMNS = ("case", "method", "seed", "units", "nearest", "format", "told", "test", "paper", "seconds")


def set_rows(name: str, pictures: Pictures, full: bool, kept: Rows, say: Say) -> list[Row]:
    """Of every method and seed; of peers and of the convolutional body, one seed unless `full`."""
    wanted: list[tuple[str, int, Callable[[Pictures, int, float], Row]]] = [("hsic", seed, _hsic) for seed in SEEDS]
    for seed in SEEDS if full else SEEDS[:1]:
        wanted += [("back-propagation", seed, _backward), ("local heads", seed, _local)]
        if name == "cifar10":
            wanted.append(("hsic, convolutional", seed, _convolutional))
    found = []
    for method, seed, measure in wanted:
        key = Rows.key(case=name, method=method, seed=seed, count=len(pictures.inputs))
        row = kept.get(key)
        if row is None:
            row = {
                "case": name,
                "method": method,
                "seed": seed,
                **measure(pictures, seed, PEER_RATES[name].get(method, RATE)),
            }
            if method in ("hsic", "back-propagation"):
                row["paper"] = PAPER[name][method != "hsic"]
            kept.put(key, row)
        found.append(row)
        say(as_table([row], COLUMNS).splitlines()[-1])
    return found


def _hsic(pictures: Pictures, seed: int, rate: float) -> Row:
    from sfumato.train.bodies import dense
    from sfumato.train.bottleneck import Bottleneck

    layers = dense(pictures.inputs[0].numel(), WIDTH, DEPTH, CLASSES, seed=seed)
    step = hsic_step(layers, Bottleneck(SIGMA, BETA), CLASSES)
    seconds = trained(layers, step, weights_of(layers), *pictures[:2], epochs=EPOCHS, rate=rate, seed=seed)
    return {**_read(layers, layers[:-1], pictures), "seconds": seconds}


def _convolutional(pictures: Pictures, seed: int, rate: float) -> Row:
    """Three residual blocks, halved twice; the objective on each block's output."""
    import torch

    from sfumato.train.bodies import convolved
    from sfumato.train.bottleneck import Bottleneck
    from sfumato.train.readout import format_layer, run

    layers: list[Any] = convolved(3, CONV_WIDTH, HALVED, seed)
    layers = [layer.to(memory_format=torch.channels_last) for layer in layers]
    inputs, test = (x.to(memory_format=torch.channels_last) for x in (pictures.inputs, pictures.test_inputs))
    step = hsic_step(layers, Bottleneck(SIGMA, BETA), CLASSES)
    seconds = trained(layers, step, weights_of(layers), inputs, pictures.classes, CONV_EPOCHS, rate, seed)
    with torch.autocast("cpu", torch.bfloat16):
        told, unseen = run(layers, inputs), run(layers, test)
    line = format_layer(told, pictures.classes)
    return {
        "format": right(line(unseen).argmax(-1), pictures.test_classes), "paper": CONV_PAPER[0], "seconds": seconds
    }  # fmt: skip


def _backward(pictures: Pictures, seed: int, rate: float) -> Row:
    layers = _classifier(pictures, seed)
    seconds = trained(layers, backward_step(layers), weights_of(layers), *pictures[:2], EPOCHS, rate, seed)
    return {"test": _tested(layers, pictures), "seconds": seconds}


def _local(pictures: Pictures, seed: int, rate: float) -> Row:
    """The last head's answers."""

    layers = _classifier(pictures, seed)[:-1]
    heads: list[nn.Module] = [head(WIDTH, CLASSES, 100 * seed + number) for number in range(len(layers))]
    weights = weights_of([*layers, *heads])
    seconds = trained(layers, local_step(layers, heads), weights, *pictures[:2], EPOCHS, rate, seed)
    return {"test": _tested([*layers, heads[-1]], pictures), "seconds": seconds}


def _classifier(pictures: Pictures, seed: int) -> list[nn.Module]:
    """The same hidden layers, and a linear one that answers classes."""

    from sfumato.train.bodies import dense

    return [*dense(pictures.inputs[0].numel(), WIDTH, DEPTH, seed=seed), head(WIDTH, CLASSES, seed)]


def _tested(layers: list[nn.Module], pictures: Pictures) -> float:
    from sfumato.train.readout import run

    return right(run(layers, pictures.test_inputs).argmax(-1), pictures.test_classes)


def _read(layers: list[nn.Module], hidden: list[nn.Module], pictures: Pictures) -> Row:
    """All three read-outs, and what the last layer tells."""
    from torch.nn.functional import one_hot

    from sfumato.train.hsic import gaussian, nhsic
    from sfumato.train.readout import assigned, by_mean, by_unit, class_means, format_layer, run

    told, unseen = run(layers, pictures.inputs), run(layers, pictures.test_inputs)
    classes, wanted = pictures.classes, pictures.test_classes
    line = format_layer(run(hidden, pictures.inputs), classes)
    some = slice(None, None, max(1, len(told) // 1000))
    kernels: tuple[Tensor, Tensor] = (
        gaussian(told[some].double(), SIGMA), gaussian(one_hot(classes[some], CLASSES).double(), SIGMA)
    )  # fmt: skip
    return {
        "units": right(by_unit(unseen, assigned(told, classes)), wanted),
        "nearest": right(by_mean(unseen, class_means(told, classes)), wanted),
        "format": right(line(run(hidden, pictures.test_inputs)).argmax(-1), wanted),
        "told": float(nhsic(*kernels)),
    }
