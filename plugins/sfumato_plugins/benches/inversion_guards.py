"""What is promised when something is wrong: a bit, a gamma, a latent, a record."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sfumato_plugins.benches.inversion_yard import Counted, Row, Yard

REFUSED = "guards: refused, and the reason named"


def guard_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    """One bit changed, somewhere: in the pair a replay begins with, or in an answer of the network."""
    from dataclasses import replace

    import torch

    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.schedule import log_grid
    from sfumato.diffusion.walk import LatentPair, invert, resample
    from sfumato.errors import RequestError

    plan, predictor = make_plan(log_grid(yard.table, 20), 1.0), yard.mixture("eps", "float32")
    walk = invert(plan, predictor, yard.clean[:2].float())
    tries = 50 if quick else 200
    drawn = [int(x) for x in torch.randint(2**30, (3 * tries,), generator=yard.generator)]

    def caught(predictor: Any, walk: Any) -> bool:
        try:
            return torch.equal(resample(plan, predictor, walk, verify=True).pair.cleaner, clean)
        except RequestError:
            return True

    clean = resample(plan, predictor, walk).pair.cleaner
    pairs = answers = 0
    for which, bit, where in zip(drawn[::3], drawn[1::3], drawn[2::3]):
        states = [walk.pair.noisier.clone(), walk.pair.cleaner.clone()]
        states[which % 2].view(-1)[where % clean.numel()] ^= 1 << bit % 24
        pairs += caught(predictor, replace(walk, pair=LatentPair(states[0], states[1], walk.pair.node)))
        answers += caught(_Faulty(predictor, which % 19, where, bit % 31), walk)
    case = "guards: one bit changed"
    yield {"case": case, "method": "in the latent pair", "faults": tries, "caught": pairs}
    yield {"case": case, "method": "in an answer: caught, or without effect", "faults": tries, "caught": answers}


class _Faulty(Counted):
    """A predictor one of whose answers has a bit changed."""

    def __init__(self, predictor: Any, call: int, where: int, bit: int) -> None:
        super().__init__(predictor)
        self.call, self.where, self.bit = call, where, bit

    def __call__(self, latent: Any, node: Any) -> Any:
        import torch

        out = super().__call__(latent, node)
        if self.calls == self.call + 1:
            out = out.clone()
            out.view(torch.int32).view(-1)[self.where % out.numel()] ^= 1 << self.bit
        return out


def refusal_rows(yard: Yard, quick: bool) -> Iterator[Row]:
    """Requests and records that must not be walked; caught is one refused with the sentence that is for it."""
    from sfumato.diffusion.bdia import make_plan
    from sfumato.diffusion.gamma import lowest_gamma
    from sfumato.diffusion.schedule import log_grid
    from sfumato.diffusion.walk import invert, latent, resample

    low = [(n, g) for n in (10, 20, 28, 50, 100) for g in (lowest_gamma(n) - 0.01, 0.5)]
    caught = sum(_says("too low to invert", make_plan, log_grid(yard.table, n), g) for n, g in low)
    yield {"case": REFUSED, "method": "gamma below 10^(-1/(N-1))", "faults": len(low), "caught": caught}

    plan, predictor = make_plan(log_grid(yard.table, 10), 1.0), yard.mixture("eps", "float32")
    walk = invert(plan, predictor, yard.clean[:2].float())
    alone = _says("two neighbouring latents", resample, plan, predictor, latent(plan, walk))
    yield {"case": REFUSED, "method": "one latent without its neighbour", "faults": 1, "caught": int(alone)}
    yield from _record_rows(yard, quick, plan, walk)


def _record_rows(yard: Yard, quick: bool, plan: Any, walk: Any) -> Iterator[Row]:
    from dataclasses import fields, replace

    import torch

    from sfumato.diffusion.fingerprint import Fingerprint, take_fingerprint
    from sfumato.diffusion.record import InversionRecord, load_record

    made = take_fingerprint("mixture", "no prompt", yard.clean[:2])
    record = InversionRecord(plan, walk, "eps", made)
    names = [field.name for field in fields(Fingerprint)]
    caught = sum(_says(f"{n}: ", record.check, replace(made, **{n: "another"}), "eps") for n in names)
    caught += _says("prediction: ", record.check, made, "v")
    yield {
        "case": REFUSED,
        "method": "a record of another model or machine",
        "faults": len(names) + 1,
        "caught": caught,
    }

    tries = 50 if quick else 200
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "inversion.safetensors")
        record.save(path)
        written = path.read_bytes()
        caught = 0
        for place in torch.randint(8 * len(written), (tries,), generator=yard.generator).tolist():
            data = bytearray(written)
            data[place // 8] ^= 1 << place % 8
            path.write_bytes(data)
            caught += _says("", load_record, path)
    yield {"case": "guards: one bit changed", "method": "in a record's file", "faults": tries, "caught": caught}


def _says(words: str, ask: Any, *inputs: Any) -> bool:
    from sfumato.errors import SfumatoError

    try:
        ask(*inputs)
    except SfumatoError as error:
        return words in str(error)
    return False
