"""Say whether things can be put where they are asked to be with a model that placing ships with; exit 1 if not.

    python packaging/gate_place.py image
    python packaging/gate_place.py image --knots
    python packaging/gate_place.py shots --folder /tmp/embedded_trail --count 10

--knots first looks, on other prompts, for what makes half a knob half the effect, and writes it into the model's
place.json, whose other numbers are chosen by hand.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gate_place_cases import Case, asked

from sfumato.models.load import load_model
from sfumato.models.load_files import EMBEDDED as DEMO
from sfumato.models.model import Model
from sfumato.place.calibration import FILE, Calibration, calibration_document, read_calibration
from sfumato.place.detect import match, see
from sfumato.place.render import place_many
from sfumato.place.request import Request

HOMES = {"micro": "embedded_micro", "image": "embedded_place", "shots": "embedded_trail"}
KINDS = {"micro": ("1",), "image": ("1", "2", "3"), "shots": ("linear", "zigzag", "grow", "crossing", "entering")}
LEAST = {  # mIoU
    "micro": {"fast": {"1": 0.85}, "precise": {"1": 0.93}},
    "image": {"fast": {"1": 0.75, "2": 0.65, "3": 0.5}, "precise": {"1": 0.88, "2": 0.8, "3": 0.65}},
    "shots": {"fast": {"linear": 0.65, "zigzag": 0.55, "grow": 0.55}},
}
CHANCE = 0.25  # the mIoU of things that nobody placed is at most this, or the data knew where they go
SURE = 0.97  # of presence, and of shapes
HALF = 0.1  # from half way, half a knob is at most this
PARTS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.6, 1.0)  # of full strength, tried for --knots
TOGETHER = 20  # requests in the network's same calls
SEED = {"knots": 3, "gate": 8}


class Found(NamedTuple):
    """Of one method and kind: means over objects and frames; what is missing has IoU 0.

    seconds: A request, several being rendered together.
    """

    miou: float
    presence: float
    binding: float
    seconds: float


def look(model: Model, cases: Sequence[Case], method: str, knob: float, settings: Calibration, steps: int) -> Found:
    """Render and measure."""
    began, ious, here, right = time.process_time(), [], 0, 0
    for start in range(0, len(cases), TOGETHER):
        part = cases[start : start + TOGETHER]
        requests = [Request(c.staging, method=method, strength=knob, steps=steps, seed=c.seed) for c in part]
        for case, done in zip(part, place_many(model, requests, calibration=settings), strict=True):
            for picture, boxes in zip(done.pictures, done.asked, strict=True):
                for phrase, box, thing in zip(case.phrases, boxes, match(see(picture), case.phrases), strict=True):
                    if box is None:
                        continue  # out of the frame: what is seen of it there is not asked for
                    ious.append(box.iou(thing.box) if thing else 0.0)
                    here += thing is not None
                    right += thing is not None and thing.shape == phrase.split()[-1]
    spent = (time.process_time() - began) / len(cases)
    return Found(sum(ious) / len(ious), here / len(ious), right / max(here, 1), spent)


def knots(model: Model, cases: Sequence[Case], method: str, settings: Calibration, steps: int) -> list[list[float]]:
    """Knobs and the gains that they are, so that the mIoU rises evenly with the knob; a whole one is what it was."""
    before = settings.precise if method == "precise" and settings.precise else settings.knots
    gains = [part * before[-1][1] for part in PARTS]
    straight = replace(settings, knots=((0.0, 0.0), (1.0, 1.0)), precise=())
    curve = [look(model, cases, method, gain, straight, steps).miou for gain in gains]
    print(
        f"{method}: " + ", ".join(f"{gain:g} {miou:.3f}" for gain, miou in zip(gains, curve, strict=True)), flush=True
    )
    low, high = curve[0], curve[-1]
    found = [[0.0, 0.0]]
    for knob in (0.25, 0.5, 0.75):
        wanted = low + knob * (high - low)
        after = next(n for n, miou in enumerate(curve) if miou >= wanted)
        share = (wanted - curve[after - 1]) / (curve[after] - curve[after - 1])
        found.append([knob, round(gains[after - 1] + share * (gains[after] - gains[after - 1]), 4)])
    return [*found, [1.0, gains[-1]]]


def gate(which: str, model: Model, settings: Calibration, count: int, steps: int) -> list[str]:
    """Print the table; what is not as it must be, in sentences."""
    wrong = []
    cases = {kind: asked(which, kind, count, SEED["gate"]) for kind in KINDS[which]}
    tries = [("none", 0.0), *((method, knob) for method in ("fast", "precise") for knob in (0.5, 1.0))]
    print("method  knob  kind      mIoU  present  shape  CPU s")
    table = {}
    for method, knob in tries:
        for kind in KINDS[which]:
            found = table[method, knob, kind] = look(model, cases[kind], method, knob, settings, steps)
            numbers = f"{found.miou:.3f}  {found.presence:7.1%}  {found.binding:5.1%}  {found.seconds:.2f}"
            print(f"{method:7} {knob:4g}  {kind:8}  {numbers}", flush=True)
    for kind in KINDS[which]:
        chance = table["none", 0.0, kind].miou
        if chance > CHANCE:
            wrong.append(f"{kind}: things that nobody placed have mIoU {chance:.3f}, over {CHANCE}")
    for method, bars in LEAST[which].items():
        for kind, least in bars.items():
            low, half, found = table["none", 0.0, kind].miou, table[method, 0.5, kind].miou, table[method, 1.0, kind]
            if found.miou < least:
                wrong.append(f"{method}, {kind}: mIoU {found.miou:.3f}, under {least}")
            if abs(half - (low + found.miou) / 2) > HALF:
                wrong.append(
                    f"{method}, {kind}: half a knob gives {half:.3f}, half way is {(low + found.miou) / 2:.3f}"
                )
            if which != "micro" and min(found.presence, found.binding) < SURE:
                wrong.append(f"{method}, {kind}: {found.presence:.1%} are there, {found.binding:.1%} of them in shape")
    return wrong


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("which", choices=HOMES)
    options.add_argument("--folder", type=Path, help="the diffusers folder; the shipped one unless given")
    options.add_argument("--count", type=int, default=60, help="requests of each kind")
    options.add_argument("--steps", type=int, default=24)
    options.add_argument("--knots", action="store_true", help="look for them first")
    chosen = options.parse_args()
    folder = chosen.folder or DEMO.with_name(HOMES[chosen.which])
    model, settings = load_model(str(folder)), read_calibration(folder)
    if chosen.knots:
        cases = [case for kind in KINDS[chosen.which][:3] for case in asked(chosen.which, kind, 20, SEED["knots"])]
        ways = {"knots": "fast", "precise": "precise"}
        made = {name: knots(model, cases, way, settings, chosen.steps) for name, way in ways.items()}
        document = {**calibration_document(settings), **made}
        rows = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in document.items()]
        (folder / FILE).write_text("{\n" + ",\n".join(rows) + "\n}\n", encoding="utf-8")
        settings = read_calibration(folder)
    wrong = gate(chosen.which, model, settings, chosen.count, chosen.steps)
    print("\n".join(wrong) or "things can be placed with it")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
