"""A face training's networks, kept as they are finished, so that a killed one goes on."""

from __future__ import annotations

import hashlib
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.report import Teller

if TYPE_CHECKING:
    from torch import Tensor

    from sfumato.face.binding import Binding
    from sfumato.face.curves import Curves
    from sfumato.face.markers import Markers
    from sfumato.face.networks import Net

Path = pathlib.Path
SETTINGS = "settings.safetensors"
NAMED = ("method", "samples", "epochs", "seed", "actor", "consent", "other_actor")


class Kept:
    """Networks as they are finished, so that a killed training begins at the one it was at; and their losses.

    It is what `sfumato.face.training.train_solver` asks for networks.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], resume: bool, teller: Teller) -> None:
        from sfumato.train.checkpoints import read_tensors, same_settings, write_tensors

        self.folder, self.teller, self.name = folder, teller, ""
        self.lines: dict[str, list[tuple[int, float]]] = {}
        if resume:
            same_settings(folder.parent, settings, read_tensors(folder / SETTINGS)[1])
        else:
            write_tensors(folder / SETTINGS, {}, settings)

    def __call__(self, name: str, fitted: Callable[[], Net]) -> Net:
        from sfumato.face.networks import Net
        from sfumato.train.checkpoints import read_tensors, write_tensors

        path = self.folder / f"{name}.safetensors"
        if path.is_file():
            tensors, about = read_tensors(path)
            self.lines[name] = [(int(step), float(loss)) for step, loss in about["loss"]]
            self.teller.say(f"train: {name} was done before")
            return Net.from_tensors(name, tensors)
        self.name, self.lines[name] = name, []
        net = fitted()
        write_tensors(path, net.tensors(name), {"loss": self.lines[name]})
        return net

    def report(self, step: Any) -> None:
        """The engine's report: progress, and the loss of each epoch."""
        self.teller.pause()
        if step.phase != "epoch":
            self.teller.progress(step.step / max(step.of, 1), step.phase)
        elif step.loss is not None:
            self.lines[self.name].append((step.step, step.loss))


def settings_of(asked: object, rig: str, takes: list[tuple[Markers, Curves]], binding: Binding) -> dict[str, Any]:
    """What must be the same for networks of before to count: of files, what they hold."""
    import torch

    from sfumato.face.rig_files import load_rig

    on = load_rig(rig)
    each = torch.eye(len(on.controls), dtype=torch.float64)
    mixed = torch.rand(4 * len(each), len(each), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    poses = torch.cat([each * 0, each, on.lower + (on.upper - on.lower) * mixed])  # correctives show in mixed ones
    tensors = [binding.at(on, poses), on.lower, on.upper]
    return {
        **{name: getattr(asked, name) for name in NAMED},
        "rig": _digest([on.controls, binding.names], tensors),
        "takes": [
            _digest([markers.names, curves.frames], [markers.positions, curves.values]) for markers, curves in takes
        ],
    }


def _digest(words: Any, tensors: Sequence[Tensor]) -> str:
    whole = repr(words).encode() + b"".join(tensor.contiguous().numpy().tobytes() for tensor in tensors)
    return hashlib.blake2b(whole, digest_size=8).hexdigest()
