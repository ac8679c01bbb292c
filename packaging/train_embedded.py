"""Train the embedded model again, from nothing but its own rendered scenes.

    python packaging/train_embedded.py --checkpoint /tmp/embedded.pt

About two hours on two cores, with a C++ compiler (three without, see --slow); may be killed and started again. Set
OMP_WAIT_POLICY=PASSIVE where other work is done on the machine. Writes the diffusers folder that ships with sfumato and
a sheet of what it draws, and says how often that is what its prompts say.
"""

import argparse
import sys
import time
from pathlib import Path

from sfumato.matte.sheet import contact_sheet, encoded
from sfumato.models.load import load_model
from sfumato.models.model import Model
from sfumato.models.training.codec import train_codec
from sfumato.models.training.judge import draw, judge
from sfumato.models.training.network import EMBEDDED, Networks, save_folder
from sfumato.models.training.scenes import COLOURS, GROUNDS, SHAPES, scenes
from sfumato.models.training.train import Training, batches, begun, train
from sfumato.report import Step

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / "engine" / "sfumato" / "models" / "embedded"
SHEET = ROOT / "docs" / "demo_model.png"


def samples(model: Model) -> bytes:
    """A PNG of the first thing it draws, whatever that is, for every colour of every shape, the grounds in turn."""
    asked = [(c, s, n) for s in SHAPES for n, c in enumerate(COLOURS)]
    grounds = tuple(GROUNDS)
    prompts = [f"{'an' if c == 'orange' else 'a'} {c} {s} on {grounds[n]}" for c, s, n in asked]
    tiles = list(zip(prompts, draw(model, prompts), strict=True))
    title = "sfumato's demo model: one sample a prompt, seed 0, 30 steps, guidance 3"
    return encoded(contact_sheet(tiles, title, columns=len(COLOURS), width=160))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checkpoint", type=Path, required=True, help="where training is kept; the codec beside it")
    options.add_argument("--out", type=Path, default=HOME, help="the diffusers folder to write")
    options.add_argument("--sheet", type=Path, default=SHEET, help="the picture of samples to write")
    options.add_argument("--steps", type=int, default=Training.steps)
    options.add_argument("--slow", action="store_true", help="do not compile the network first")
    chosen = options.parse_args()
    began = time.monotonic()

    def say(step: Step) -> None:
        if step.step % 50 == 0:
            spent = time.monotonic() - began
            print(f"{step.phase} {step.step} of {step.of}, loss {step.loss:.4f}, {spent:.0f} s", flush=True)

    codec = train_codec(1200, chosen.checkpoint.with_suffix(".codec"), report=say).requires_grad_(False)
    training = Training(steps=chosen.steps)
    examples = batches(training, EMBEDDED, codec, scenes, begun(training, chosen.checkpoint))
    trained = train(training, Networks(training.seed), examples, chosen.checkpoint, say, fast=not chosen.slow)
    save_folder(trained, codec, chosen.out)
    model = load_model(str(chosen.out))
    chosen.sheet.write_bytes(samples(model))
    found = judge(model)
    print(
        f"{chosen.out}: of {found.count} single-object prompts right in colour {found.colour:.0%}, shape"
        f" {found.shape:.0%}, ground {found.ground:.0%}, all three {found.right:.0%}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
