"""Train the embedded model again, from nothing but its own rendered scenes.

    python packaging/train_embedded.py --checkpoint /tmp/embedded.pt

About an hour on two cores; may be killed and started again. Set OMP_WAIT_POLICY=PASSIVE where other work is done on
the machine. Writes the diffusers folder that ships with sfumato, and says how often it draws what its prompts say.
"""

import argparse
import sys
import time
from pathlib import Path

from sfumato.models.load import load_model
from sfumato.models.training.codec import train_codec
from sfumato.models.training.judge import judge
from sfumato.models.training.network import save_folder
from sfumato.models.training.train import Training, train
from sfumato.report import Step

HOME = Path(__file__).resolve().parents[1] / "engine" / "sfumato" / "models" / "embedded"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--checkpoint", type=Path, required=True, help="where training is kept; the codec beside it")
    options.add_argument("--out", type=Path, default=HOME, help="the diffusers folder to write")
    options.add_argument("--steps", type=int, default=Training.steps)
    chosen = options.parse_args()
    began = time.monotonic()

    def say(step: Step) -> None:
        if step.step % 50 == 0:
            spent = time.monotonic() - began
            print(f"{step.phase} {step.step} of {step.of}, loss {step.loss:.4f}, {spent:.0f} s", flush=True)

    codec = train_codec(1200, chosen.checkpoint.with_suffix(".codec"), report=say).requires_grad_(False)
    save_folder(train(Training(steps=chosen.steps), codec, chosen.checkpoint, say), codec, chosen.out)
    found = judge(load_model(str(chosen.out)))
    print(
        f"{chosen.out}: of {found.count} single-object prompts right in colour {found.colour:.0%}, shape"
        f" {found.shape:.0%}, ground {found.ground:.0%}, all three {found.right:.0%}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
