"""Fine-tuning a diffusion model on a folder of pictures, from the request to a folder that every tool can load."""

from __future__ import annotations

import os
import pathlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from sfumato_plugins.editing.model import folder_of, inside_problems, licence_doubt
from sfumato_plugins.errors import JobError, wrong
from sfumato_plugins.gpu import choose_device
from sfumato_plugins.job import Job
from sfumato_plugins.lease import Client
from sfumato_plugins.report import Progress, Teller
from sfumato_plugins.training.claim import alone, fit_to_write
from sfumato_plugins.training.estimates import estimated
from sfumato_plugins.training.page import write_page

if TYPE_CHECKING:
    import torch

    from sfumato.diffusion.protocols import Denoiser
    from sfumato.models.model import Levels, Model
    from sfumato.train.encoded import Encoded
    from sfumato.train.fine_tune import FineTune, Look, Trainer
    from sfumato.train.pictures import Captioned

Path = pathlib.Path
PAGE = "training.html"


@dataclass(frozen=True)
class Asked:
    """What the command line asks for; `how` becomes a `sfumato.train.fine_tune.FineTune`."""

    data: str
    out: str
    model: str = "embedded"
    prompt: str = ""
    note: str = ""
    device: str = "auto"
    resume: bool = False
    estimate: bool = False
    how: Mapping[str, Any] = field(default_factory=dict)

    @property
    def job(self) -> Job:
        """What asks the site about models: a job in the current folder."""
        return Job("train", (1,), {}, {}, base=os.getcwd())


def train_diffusion(asked: Asked, teller: Teller) -> dict[str, Any]:
    """Train, or only say what it would take.

    Returns:
        estimate (bytes, seconds); and unless only that was asked for: model, page, steps, best, stopped, looks,
        before and after (held-out loss), pictures, held_out, seconds.

    Raises:
        JobError, sfumato.errors.SfumatoError: everything that is wrong with the request, the model or the pictures.
    """
    from sfumato.device import describe
    from sfumato.train.estimate import require_room
    from sfumato.train.fine_tune import FineTune
    from sfumato.train.pictures import find_pictures, read_all
    from sfumato.train.result import WORK, parameters_of

    settings = FineTune(**asked.how)
    base = _model_folder(asked)
    out = Path(asked.out).absolute()
    if not asked.estimate:
        _fit_to_write(out, base, asked.resume)
    device = choose_device(asked.device, Client(), teller.say, teller.pause)
    teller.say(f"train: {describe(device)}")
    require_room(parameters_of(base), device)
    pictures = find_pictures(asked.data, asked.prompt)
    model = _loaded(base, device, settings)
    if asked.estimate:
        with tempfile.TemporaryDirectory(prefix="sfumato-train-") as beside:
            return {"estimate": estimated(model, pictures[:2], Path(beside), settings, teller)}
    with alone(out / WORK):
        read_all(pictures, model.size)
        found = estimated(model, pictures[:2], out / WORK, settings, teller)
        learned = _encoded(model, pictures, out, teller)
        del model  # its codec and its encoders are not needed any more
        return {**_trained(learned, base, pictures, out, settings, asked, teller), "estimate": found}


def _model_folder(asked: Asked) -> str:
    problems = [replace(problem, where="--model") for problem in inside_problems(asked.job, asked.model)]
    if problems:
        raise JobError(problems)
    return folder_of(asked.job, asked.model)


def _fit_to_write(out: Path, base: str, resume: bool) -> None:
    """Refuse a folder that holds something else, or a training that nobody asked to go on with."""
    from sfumato.models.load_files import folder_path
    from sfumato.train.fine_tune import CHECKPOINT
    from sfumato.train.result import ABOUT, WORK

    begun = (out / WORK / CHECKPOINT).is_file()
    fit_to_write(out, begun, resume)
    home = folder_path(base).resolve()
    if home in (out.resolve(), *out.resolve().parents):
        raise wrong("--out", f"{out} is the model that is trained from, or in it", "name another folder")
    if not begun and out.is_dir() and (out / "model_index.json").exists() and not (out / ABOUT).exists():
        raise wrong("--out", f"{out} holds another model", "name a new folder")


def _loaded(base: str, device: torch.device, settings: FineTune) -> Model:
    """The model, if it is one that can be trained so."""
    from sfumato.errors import RequestError
    from sfumato.models.load import load_model
    from sfumato.models.load_files import folder_path, kind_of, read_index
    from sfumato.train.stacks import LISTS

    index = read_index(folder_path(base))
    kind = kind_of(index, "transformer") or kind_of(index, "unet") or ""
    if kind.startswith("Latte"):
        raise RequestError(f"{base} makes clips, and this trains models of stills", "train one of stills")
    if settings.reversible and kind not in LISTS:
        raise RequestError(
            f"{base} is a {kind}, whose blocks cannot be undone one by one",
            f"leave out --reversible; it works with {', '.join(sorted(LISTS))}",
        )
    return load_model(base, device)


class _Learned(NamedTuple):
    """What training needs of a model and of pictures; unread: what it does not read of captions, in sentences."""

    network: torch.nn.Module
    denoiser: Denoiser
    levels: Levels
    digest: str
    data: Encoded
    unread: list[str]


def _encoded(model: Model, pictures: list[Captioned], out: Path, teller: Teller) -> _Learned:
    from sfumato.train.encoded import encode
    from sfumato.train.result import WORK

    data = encode(model, pictures, out / WORK / "encoded.safetensors", Progress(teller, 1).step)
    unread = _unread(model, [picture.prompt for picture in pictures])
    return _Learned(model.network, model.denoiser, model.levels, model.digest, data, unread)


def _trained(
    learned: _Learned, base: str, pictures: list[Captioned], out: Path, settings: FineTune, asked: Asked, teller: Teller
) -> dict[str, Any]:
    from sfumato.train.fine_tune import Trainer, split
    from sfumato.train.result import WORK, write_folder

    began = time.monotonic()
    network, denoiser, levels, digest, data, unread = learned
    about = {"model": digest, "data": [[one.digest, one.prompt] for one in pictures]}  # their order counts too
    trainer = Trainer(network, denoiser, levels, data, settings, out / WORK, about)
    if asked.resume:
        teller.say(f"train: going on from step {trainer.resume()}")
    held = len(split(len(data), settings)[1])
    teller.say(f"train: {len(pictures) - held} pictures to learn from, {held} to look at; {settings.steps} steps")
    for line in unread:
        teller.say(line)
    doubt = licence_doubt(asked.job, asked.model)
    if doubt:
        teller.say(f"warning: {doubt}; so is the trained model's")
    _run(trainer, out, teller)
    outcome = trainer.outcome
    measured = [look.held for look in outcome.looks if look.held is not None]
    told = {
        "steps": trainer.done, "best": outcome.best, "stopped": outcome.stopped,
        "before": measured[0] if measured else None, "after": min(measured) if measured else None,
        "pictures": len(pictures), "held_out": held, "note": asked.note,
    }  # fmt: skip
    files = [_listed(picture, Path(asked.data), asked.job) for picture in pictures]
    card = {**told, "base_digest": digest, "settings": asdict(settings), "device": trainer.device.type, "files": files}
    write_folder(base, network, out, card)
    looks = [asdict(look) for look in outcome.looks]
    words = outcome.stopped or "all steps were made"
    teller.say(f"train: {words}; the result is of step {outcome.best}")
    return {**told, "model": str(out), "page": str(out / PAGE), "looks": looks, "seconds": time.monotonic() - began}


def _unread(model: Model, captions: list[str]) -> list[str]:
    """What of the captions the model does not read, in sentences."""
    words = sorted({word.lower() for text in captions for word in model.unknown(text) if any(map(str.isalnum, word))})
    cut = [text for text in captions if model.cut(text)]
    said = (
        [f"{', '.join(words[:8])}{' and others' if len(words) > 8 else ''}; any other word is the same"]
        if words
        else []
    )
    found = [f"note: the model never learnt these words of the captions, nor will it: {one}" for one in said]
    return found + ([f"note: the model does not read the end of {len(cut)} captions; {cut[0]} is one"] if cut else [])


def _run(trainer: Trainer, out: Path, teller: Teller) -> None:
    """Train with progress and the time left; the page is as new as the last look."""
    first, last = trainer.done, trainer.settings.steps
    running = [0.0]

    def step(at: Any) -> None:
        teller.pause()
        running[0] = at.loss if at.step == first + 1 else 0.95 * running[0] + 0.05 * at.loss
        teller.progress((at.step - first) / (last - first), f"step {at.step}/{last}  loss {running[0]:.4f}")

    def looked(look: Look) -> None:
        if look.held is not None:
            best = min(one.held for one in trainer.outcome.looks if one.held is not None)
            teller.say(f"step {look.step}: held-out loss {look.held:.4f}{'  the best' if look.held == best else ''}")
        facts = {"steps": f"{look.step} of {last}", "device": trainer.device.type, "best": str(trainer.outcome.best)}
        write_page(out / PAGE, out.name, facts, trainer.outcome.looks, trainer.outcome.best)

    trainer.run(step, looked)


def _listed(picture: Captioned, data: Path, job: Job) -> dict[str, str]:
    """A line of the card; its words only where the site lets metadata say them."""
    from sfumato_plugins.private import allowed

    name = picture.path.relative_to(data).as_posix()
    return {"name": name, "digest": picture.digest, **({"prompt": picture.prompt} if allowed(job) else {})}
