"""Train the models that `sfumato place` ships with, from rendered scenes and nothing else.

    python packaging/train_place.py micro --checkpoint /tmp/micro.pt
    python packaging/train_place.py image --checkpoint /tmp/place.pt

`micro` learns 16 x 16 pixels from nothing, for tests; `image` learns 64 x 64 from the embedded model's weights. May be
killed and started again. Writes a diffusers folder.
"""

import argparse
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from sfumato.models.load_files import EMBEDDED as DEMO
from sfumato.models.training.carry import carried, carried_codec
from sfumato.models.training.network import MICRO, PLACE, Networks, save_folder
from sfumato.models.training.placement import placed_scenes
from sfumato.models.training.train import Source, Training, train
from sfumato.report import Step

TRAININGS = {
    "micro": Training(steps=3000, batch=64, rate=3e-3, warm=100, middle=0.3, draws=2, remembered=0.995, focus=2.0),
    "image": Training(steps=1500, batch=64, rate=1e-3, warm=50, draws=1, remembered=0.995, focus=2.0, seed=3),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("which", choices=TRAININGS)
    options.add_argument("--checkpoint", type=Path, required=True, help="where training is kept")
    options.add_argument("--out", type=Path, help="the diffusers folder to write")
    options.add_argument("--steps", type=int)
    options.add_argument("--slow", action="store_true", help="do not compile the network first")
    chosen = options.parse_args()
    training = TRAININGS[chosen.which]
    training = replace(training, steps=chosen.steps or training.steps)
    began = time.monotonic()

    def say(step: Step) -> None:
        if step.step % 20 == 0:
            print(f"{step.step} of {step.of}, loss {step.loss:.4f}, {time.monotonic() - began:.0f} s", flush=True)

    micro = chosen.which == "micro"
    begins = Networks(training.seed, MICRO) if micro else carried(DEMO, PLACE)
    codec = None if micro else carried_codec(DEMO)
    source: Source = partial(placed_scenes, shapes=("box",), counts=(2, 1)) if micro else placed_scenes
    trained = train(training, codec, chosen.checkpoint, say, 100, not chosen.slow, begins, source)
    save_folder(trained, codec, chosen.out or DEMO.parent / f"embedded_{chosen.which}")


if __name__ == "__main__":
    main()
