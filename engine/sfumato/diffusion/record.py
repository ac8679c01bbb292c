"""An inversion as one file: all that a replay needs, in another process, to give the latent back bit for bit."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sfumato.atomic import write_bytes
from sfumato.diffusion.bdia import Plan
from sfumato.diffusion.fingerprint import Fingerprint, weights_digest
from sfumato.diffusion.lattice import SideBits
from sfumato.diffusion.protocols import Prediction, Predictor
from sfumato.diffusion.schedule import Grid, Node
from sfumato.diffusion.walk import LatentPair, Walk, resample, resample_stored
from sfumato.errors import InputError, RequestError
from sfumato.report import Report, silent

SCHEMA = "sfumato.inversion/1"


class RecordMismatchError(RequestError):
    """A record was made with something else than what is here. `differences` has a line for each part."""

    def __init__(self, differences: list[str], stored: bool) -> None:
        fallback = "replay its stored states" if stored else "make records with stored states for such cases"
        super().__init__(
            "the inversion record does not fit: " + "; ".join(differences),
            f"invert again here, or {fallback}",
        )
        self.differences = differences


@dataclass(frozen=True)
class InversionRecord:
    """An inversion on a lattice: where it ended, by which plan, and with what.

    plan: Exact grid, gammas, lattice level, starts.
    walk: The latent pair, side bits, the digest of every state, and the states if they were stored.
    prediction: What the network answers.
    fingerprint: What answered.
    notes: Plain words of whoever made it, kept and digested with the rest.

    Two int32 latents, the side bits and about 4 KB for 50 steps; stored states are one more latent a step.
    """

    plan: Plan
    walk: Walk
    prediction: Prediction
    fingerprint: Fingerprint
    notes: Mapping[str, str] = field(default_factory=dict)

    def save(self, path: str | Path, stamp: Mapping[str, object] | None = None) -> None:
        """Write it as safetensors; the file appears whole or not at all.

        stamp: Further words for its header, on which no replay depends.

        Raises:
            RequestError: the walk is of float states, which no file gives back.
            OSError: the folder is not writable.
        """
        if self.plan.level is None:
            raise RequestError("an inversion in floats does not come back exactly", "invert on a lattice to record it")
        about = {
            "schema": SCHEMA,
            "kind": self.plan.grid.kind,
            "level": self.plan.level,
            "ways": [self.plan.start, self.plan.down, self.plan.up],
            "node": self.walk.pair.node,
            "prediction": self.prediction,
            "fingerprint": asdict(self.fingerprint),
            "notes": dict(self.notes),
        }
        tensors = _grid_tensors(self.plan) | _walk_tensors(self.walk)
        stamped = {name: str(value) for name, value in (stamp or {}).items()}
        written = {**stamped, "sfumato": json.dumps(about), "digest": _digest(about, tensors)}
        write_bytes(path, _ordered(save(tensors, written)))

    def check(self, here: Fingerprint, prediction: Prediction) -> None:
        """Raises RecordMismatchError naming every part in which what is here is not what the record was made with."""
        found = self.fingerprint.differences(here)
        if prediction != self.prediction:
            found.append(f"prediction: {self.prediction} in the record, {prediction} here")
        if found:
            raise RecordMismatchError(found, bool(self.walk.states))

    def replay(
        self,
        predictor: Predictor,
        here: Fingerprint,
        report: Report = silent,
        stored: bool = False,
        anyway: bool = False,
    ) -> Walk:
        """Back to the clean latent, bit for bit, every state compared with the recorded one.

        Args:
            predictor: The network, under the prompt of the inversion.
            here: The fingerprint of this process.
            report: Told after every step.
            stored: Put back, from the stored states, what this machine's answers miss: right on any hardware.
            anyway: Try although fingerprints differ; a state that comes out other than recorded still ends it.

        Raises:
            RecordMismatchError: made with something else, and neither `stored` nor `anyway`.
            DriftedError: a state came out other than recorded.
        """
        if stored:
            return resample_stored(self.plan, predictor, predictor, self.walk, report)
        if not anyway:
            self.check(here, predictor.prediction)
        return resample(self.plan, predictor, self.walk, report, verify=True)


def load_record(path: str | Path, device: torch.device | str = "cpu") -> InversionRecord:
    """Read a record, its latents onto a device.

    Raises:
        InputError: no such file, not an inversion record, one of another sfumato, without its pair, or with any bit
            other than it was written.
    """
    try:
        data = Path(path).read_bytes()
        tensors = load(data)
        written = _metadata(data)
        about = json.loads(written["sfumato"])
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path} is not an inversion record", "make one with `sfumato invert`") from error
    if about.get("schema") != SCHEMA:
        raise InputError(f"{path} is a {about.get('schema')}, and this is {SCHEMA}", "use the sfumato that wrote it")
    if not {"noisier", "cleaner"} <= set(tensors):
        raise InputError(
            f"{path} holds one latent, and a walk can only go on from two neighbouring ones", "invert again"
        )
    if _digest(about, tensors) != written.get("digest"):
        raise InputError(f"{path} is damaged: it is not what was written", "copy it again, or invert again")
    plan, walk = _plan(about, tensors), _walk(about, tensors, device)
    return InversionRecord(plan, walk, about["prediction"], Fingerprint(**about["fingerprint"]), about["notes"])


def _digest(about: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    """SHA-256 of everything in a record."""
    words = json.dumps(about, sort_keys=True) + weights_digest(tensors)
    return hashlib.sha256(words.encode()).hexdigest()


def _ordered(data: bytes) -> bytes:
    """The same safetensors file with its header in order: as saved, words come in another order every time."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]


def _metadata(data: bytes) -> dict[str, str]:
    """The strings in the header of a safetensors file: 8 bytes of length, then JSON."""
    length = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return found


def _grid_tensors(plan: Plan) -> dict[str, Tensor]:
    extra = [plan.grid.low] + ([plan.grid.high] if plan.grid.high else [])
    rows = [[n.time, n.alpha, n.sigma] for n in (*plan.grid.nodes, *extra)]
    return {
        "nodes": torch.tensor(rows[: len(plan.grid.nodes)], dtype=torch.float64),
        "within": torch.tensor(rows[len(plan.grid.nodes) :], dtype=torch.float64),
        "gammas": torch.tensor([[g.numerator, g.denominator] for g in plan.gammas], dtype=torch.int32),
    }


def _plan(about: dict[str, Any], tensors: dict[str, Tensor]) -> Plan:
    nodes, within = ([Node(*row) for row in tensors[name].tolist()] for name in ("nodes", "within"))
    grid = Grid(about["kind"], tuple(nodes), within[0], within[1] if len(within) > 1 else None)
    gammas = tuple(Fraction(n, d) for n, d in tensors["gammas"].tolist())
    return Plan(grid, gammas, int(about["level"]), *about["ways"])


def _walk_tensors(walk: Walk) -> dict[str, Tensor]:
    nodes = sorted(walk.digests)
    found = {
        "noisier": walk.pair.noisier,
        "cleaner": walk.pair.cleaner,
        "digest_nodes": torch.tensor(nodes, dtype=torch.int32),
        "digests": torch.tensor([list(bytes.fromhex(walk.digests[n])) for n in nodes], dtype=torch.uint8),
    }
    if walk.bits.steps:
        steps = sorted(walk.bits.steps)
        lengths = [[s, walk.bits.steps[s].numel()] for s in steps]
        found["bits"] = torch.cat([walk.bits.steps[s] for s in steps])
        found["bit_lengths"] = torch.tensor(lengths, dtype=torch.int64)
    if walk.states:
        found["states"] = torch.stack([walk.states[n] for n in sorted(walk.states)])
    integers = {name: t.to("cpu", torch.int32) if t.dtype == torch.int64 else t.cpu() for name, t in found.items()}
    return {name: t.contiguous() for name, t in integers.items()}


def _walk(about: dict[str, Any], tensors: dict[str, Tensor], device: torch.device | str) -> Walk:
    noisier, cleaner = (tensors[name].to(device, torch.int64) for name in ("noisier", "cleaner"))
    pair = LatentPair(noisier, cleaner, int(about["node"]))
    digests = [bytes(row).hex() for row in tensors["digests"].tolist()]
    bits = {}
    if "bits" in tensors:
        end = 0
        for step, length in tensors["bit_lengths"].tolist():
            bits[step] = tensors["bits"][end : end + length]
            end += length
    states = dict(enumerate(tensors["states"].to(device, torch.int64))) if "states" in tensors else {}
    nodes = tensors["digest_nodes"].tolist()
    return Walk(pair, SideBits(bits), dict(zip(nodes, digests, strict=True)), states)
