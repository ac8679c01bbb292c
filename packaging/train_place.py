"""Train the models that `sfumato place` and `sfumato trail` ship with, from rendered scenes and nothing else.

    python packaging/train_place.py micro --checkpoint /tmp/micro.pt
    python packaging/train_place.py coarse --checkpoint /tmp/coarse.pt --out /tmp/coarse
    python packaging/train_place.py image --checkpoint /tmp/place.pt --begin /tmp/coarse
    python packaging/train_place.py moving --checkpoint /tmp/moving.pt --begin /tmp/coarse --out /tmp/moving
    python packaging/train_place.py shots --checkpoint /tmp/trail.pt --begin /tmp/moving

`micro` learns 16 x 16 pixels from nothing, for tests. `coarse` goes on from the embedded model's weights, and its codec
learns to draw twice as many pixels; `moving` learns shots from it. They are only where those that ship begin: `image`,
on a grid twice as fine, and `shots`, whose words learn to look where their things are. Each may be killed and started
again. Writes a diffusers folder; packaging/gate_place.py then says whether its things can be placed.
"""

import argparse
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from sfumato.models.load_files import EMBEDDED as DEMO
from sfumato.models.training.carry import carried, carried_codec, carried_shots
from sfumato.models.training.codec_larger import train_larger
from sfumato.models.training.grounding import Grounded, grounded_batches, grounded_error
from sfumato.models.training.grounding_shots import grounded_shot_batches
from sfumato.models.training.network import COARSE, MICRO, PLACE, Networks, save_folder
from sfumato.models.training.placement import placed_scenes
from sfumato.models.training.shots import ShotNetworks, save_shots, shot_batches
from sfumato.models.training.train import Training, batches, begun, train
from sfumato.report import Report, Step

TRAININGS = {
    "micro": Training(steps=3000, batch=64, rate=3e-3, warm=100, middle=0.3, draws=2, remembered=0.995, focus=2.0),
    "coarse": Training(steps=2000, batch=64, rate=1e-3, warm=50, remembered=0.995, focus=2.0, seed=3),
    "image": Training(steps=4500, batch=16, rate=1e-3, warm=100, remembered=0.998, focus=2.0, middle=1.5, seed=5),
    "moving": Training(
        steps=1200, batch=8, rate=1e-3, warm=50, remembered=0.99, focus=1.0, known=0.2, middle=1.2, seed=4
    ),
    "shots": Training(steps=1000, batch=8, rate=5e-4, warm=50, remembered=0.99, focus=1.0, middle=1.2, seed=6),
}
HOMES = {"micro": "embedded_micro", "image": "embedded_place", "shots": "embedded_trail"}


def micro(training: Training, checkpoint: Path, home: Path, out: Path, say: Report, fast: bool) -> None:
    source = partial(placed_scenes, shapes=("box",), counts=(2, 1))
    examples = batches(training, MICRO, None, source, begun(training, checkpoint))
    save_folder(train(training, Networks(training.seed, MICRO), examples, checkpoint, say, 100, fast), None, out)


def coarse(training: Training, checkpoint: Path, home: Path, out: Path, say: Report, fast: bool) -> None:
    codec = carried_codec(home)
    larger = train_larger(codec, 400, checkpoint.with_suffix(".codec"), report=say)
    examples = batches(training, COARSE, codec, placed_scenes, begun(training, checkpoint))
    save_folder(train(training, carried(home, COARSE), examples, checkpoint, say, 100, fast), larger, out)


def image(training: Training, checkpoint: Path, home: Path, out: Path, say: Report, fast: bool) -> None:
    codec, networks = carried_codec(DEMO), Grounded(design=PLACE)
    networks.load_state_dict(carried(home, PLACE).state_dict())
    source = partial(placed_scenes, counts=(2, 3, 3))
    examples = grounded_batches(training, PLACE, codec, source, begun(training, checkpoint))
    save_folder(train(training, networks, examples, checkpoint, say, 100, fast, grounded_error), codec, out)


def moving(training: Training, checkpoint: Path, home: Path, out: Path, say: Report, fast: bool) -> None:
    networks = ShotNetworks(carried(home, COARSE))
    examples = shot_batches(training, networks, carried_codec(DEMO), begun(training, checkpoint))
    _save_beside(train(training, networks, examples, checkpoint, say, 50, fast), home, out)


def shots(training: Training, checkpoint: Path, home: Path, out: Path, say: Report, fast: bool) -> None:
    networks = carried_shots(home, COARSE)
    examples = grounded_shot_batches(training, networks, carried_codec(DEMO), begun(training, checkpoint))
    _save_beside(train(training, networks, examples, checkpoint, say, 50, fast, grounded_error), home, out)


def _save_beside(trained: ShotNetworks, home: Path, out: Path) -> None:
    shutil.copytree(home, out, dirs_exist_ok=True, ignore=shutil.ignore_patterns("README.md", "place.json"))
    save_shots(trained, out)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("which", choices=TRAININGS)
    options.add_argument("--checkpoint", type=Path, required=True, help="where training is kept")
    options.add_argument("--begin", type=Path, default=DEMO, help="the folder to go on from")
    options.add_argument("--out", type=Path, help="the diffusers folder to write")
    options.add_argument("--steps", type=int)
    options.add_argument("--slow", action="store_true", help="do not compile the network first")
    chosen = options.parse_args()
    training = TRAININGS[chosen.which]
    training = replace(training, steps=chosen.steps or training.steps)
    began = time.monotonic()

    def say(step: Step) -> None:
        if step.step % 20 == 0:
            spent = time.monotonic() - began
            print(f"{step.phase} {step.step} of {step.of}, loss {step.loss:.4f}, {spent:.0f} s", flush=True)

    if not chosen.out and chosen.which not in HOMES:
        options.error(f"{chosen.which} does not ship: say where to write it with --out")
    out = chosen.out or DEMO.with_name(HOMES[chosen.which])
    ways = {"micro": micro, "coarse": coarse, "image": image, "moving": moving, "shots": shots}
    ways[chosen.which](training, chosen.checkpoint, chosen.begin, out, say, not chosen.slow)


if __name__ == "__main__":
    main()
