"""What the abstract of the HSIC bottleneck claims besides accuracy: depth, cost, and layers that need not wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.benches.hsic_ways import (
    BATCH,
    MOMENTUM,
    backward_step,
    head,
    hsic_step,
    right,
    trained,
    weights_of,
)

if TYPE_CHECKING:
    from sfumato_plugins.benches.hsic_data import Pictures

Row = dict[str, Any]
Say = Callable[[str], None]
DEPTHS, WIDTH, SOME, EPOCHS, CLASSES, SEED = (5, 20, 50), 256, 20_000, 2, 10, 0
HSIC_RATE, BACK_RATE = 1e-3, 3e-4  # of Adam; that of back-propagation was the best of six at 50 layers
REPEATS = 6
SIGMAS, PAPER = (1.0, 5.0, 10.0), (69.6, 93.6, 93.2, 93.6)  # the last together; format, 5 x 128, MNIST


def claims(pictures: Pictures, say: Say) -> list[Row]:
    """Rows of depth, kernel widths and cost, and what they are held to."""
    rows = [*_depths(pictures, say), *_widths(pictures), *_costs(pictures)]
    tests = {(row["layers"], row["method"]): row["test"] for row in rows if row["case"] == "depth"}
    seconds = {(row["layers"], row["method"]): row["seconds"] for row in rows if row["case"] == "cost"}
    shallow, deep = DEPTHS[0], DEPTHS[-1]
    off, fails = (tests[shallow, way] - tests[deep, way] for way in ("hsic", "back-propagation, plain"))
    more = seconds[10, "hsic"] / seconds[5, "hsic"]
    held = (
        (f"points lost from {shallow} to {deep} layers", off, "<=", 3.0),
        (f"points that plain back-propagation loses from {shallow} to {deep}", fails, ">=", 10.0),
        ("seconds of 10 layers over those of 5", more, "<=", 2.2),
    )
    return rows + [dict(zip(("case", "claim", "value", "sign", "bound"), ("claim", *one))) for one in held]


def _depths(pictures: Pictures, say: Say) -> list[Row]:
    """Without norms or skips, 20,000 pictures, two epochs: a format layer on ours, back-propagation's own answer, from
    torch's own weights to begin with and from He's."""

    from sfumato.train.bodies import dense
    from sfumato.train.bottleneck import Bottleneck
    from sfumato.train.readout import format_layer, run

    inputs, classes = pictures.inputs[:SOME], pictures.classes[:SOME]
    rows = []
    for depth in DEPTHS:
        layers = dense(inputs[0].numel(), WIDTH, depth, norm=False, seed=SEED)
        step = hsic_step(layers, Bottleneck(2.0, 500.0, 1e-3, scaled=True), CLASSES)
        seconds = trained(layers, step, weights_of(layers), inputs, classes, EPOCHS, HSIC_RATE, SEED, adam=True)
        line = format_layer(run(layers, inputs), classes)
        test = right(line(run(layers, pictures.test_inputs)).argmax(-1), pictures.test_classes)
        rows.append({"case": "depth", "layers": depth, "method": "hsic", "test": test, "seconds": seconds})
        for method, gain in (("back-propagation, plain", 1.0), ("back-propagation, He", None)):
            body = dense(inputs[0].numel(), WIDTH, depth, norm=False, seed=SEED, gain=gain)
            whole = [*body, head(WIDTH, CLASSES, SEED)]
            step = backward_step(whole)
            seconds = trained(whole, step, weights_of(whole), inputs, classes, EPOCHS, BACK_RATE, SEED, adam=True)
            test = right(run(whole, pictures.test_inputs).argmax(-1), pictures.test_classes)
            rows.append({"case": "depth", "layers": depth, "method": method, "test": test, "seconds": seconds})
        say(f"{depth} layers: " + ", ".join(f"{row['method']} {row['test']:.2f}" for row in rows[-3:]))
    return rows


def _widths(pictures: Pictures) -> list[Row]:
    """A format layer on bodies of one kernel width each, and on their mean; 20,000 pictures, two epochs."""
    import torch
    from torch.nn.functional import one_hot

    from sfumato.train.bodies import dense
    from sfumato.train.bottleneck import Bottleneck
    from sfumato.train.readout import format_layer, run
    from sfumato.train.sigma_network import SigmaNetwork

    inputs, classes = pictures.inputs[:SOME], pictures.classes[:SOME]
    network = SigmaNetwork(
        lambda seed: dense(inputs[0].numel(), 128, 5, seed=seed), SIGMAS, Bottleneck(),
        lambda weights: torch.optim.SGD(weights, HSIC_RATE, MOMENTUM),
    )  # fmt: skip
    generator = torch.Generator().manual_seed(SEED)
    for _ in range(EPOCHS):
        for rows in torch.split(torch.randperm(len(inputs), generator=generator), BATCH):
            if len(rows) == BATCH:
                network.step(inputs[rows], one_hot(classes[rows], CLASSES).float())
    answers = [(f"sigma {sigma:g}", lambda x, body=body: run(body, x)) for sigma, body in zip(SIGMAS, network.bodies)]
    found = []
    for (method, answer), paper in zip([*answers, ("together", network.answer)], PAPER):
        line = format_layer(answer(inputs), classes)
        test = right(line(answer(pictures.test_inputs)).argmax(-1), pictures.test_classes)
        found.append({"case": "sigma", "method": method, "test": test, "paper": paper})
    return found


def _costs(pictures: Pictures) -> list[Row]:
    """A step of 5 and of 10 layers of 1024 units: operations counted, seconds (the least of some), bytes alive."""
    import resource

    from torch.utils.flop_counter import FlopCounterMode

    from sfumato.train.live_tensors import LiveTensors

    inputs, classes = pictures.inputs[:BATCH], pictures.classes[:BATCH]
    rows = []
    for depth in (5, 10):
        for method in ("hsic", "back-propagation"):
            step = _timed(method, inputs[0].numel(), depth)
            with FlopCounterMode(display=False) as counted:
                step(inputs, classes).backward()
            with LiveTensors() as live:
                step(inputs, classes).backward()
            taken = []
            for _ in range(REPEATS):
                began = time.process_time()
                step(inputs, classes).backward()
                taken.append(time.process_time() - began)
            inverses = depth * 2 * BATCH**3 if method == "hsic" else 0  # which the counter does not know
            rows.append({
                "case": "cost", "layers": depth, "method": method, "seconds": min(taken),
                "flops": counted.get_total_flops() + inverses, "peak": live.peak / 1e6,
                "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            })  # fmt: skip
    return rows


def _timed(method: str, given: int, depth: int) -> Any:

    from sfumato.train.bodies import dense
    from sfumato.train.bottleneck import Bottleneck

    if method == "hsic":
        return hsic_step(dense(given, 1024, depth, CLASSES), Bottleneck(), CLASSES)
    return backward_step([*dense(given, 1024, depth), head(1024, CLASSES, SEED)])
