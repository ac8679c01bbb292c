"""Inversion records: bit-equal in another process, whole or not there, and never believed when something changed."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from sfumato.diffusion.bdia import make_plan
from sfumato.diffusion.fingerprint import Fingerprint, take_fingerprint, weights_digest
from sfumato.diffusion.mixture import Mixture, stiff_mixture
from sfumato.diffusion.record import InversionRecord, RecordMismatchError, load_record
from sfumato.diffusion.schedule import log_grid, scaled_linear, spaced_grid
from sfumato.diffusion.walk import DriftedError, LatentPair, arithmetic, invert, reinvert, resample, sample
from sfumato.errors import InputError, RequestError

TABLE = scaled_linear()
SIZE = 24


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mixture() -> Mixture:
    return stiff_mixture(SIZE, seeded(), dtype=torch.float32)


def clean() -> torch.Tensor:
    return mixture().sample(4, TABLE.at(0), seeded(1))


def here(model: Mixture) -> Fingerprint:
    weights = {"means": model.means, "stds": model.stds}
    return take_fingerprint(weights_digest(weights), "no prompt", clean())


def record(gamma: float | str = "auto", store: bool = False) -> InversionRecord:
    plan = make_plan(spaced_grid(TABLE, 20), gamma, anyway=True)
    return InversionRecord(plan, invert(plan, mixture(), clean(), store=store), "eps", here(mixture()))


@pytest.mark.parametrize("gamma", [1.0, 0.96, "o-belm"])
def test_a_record_says_the_same_after_it_was_read(gamma: float | str, tmp_path: Path) -> None:
    made = record(gamma, store=True)
    made.save(tmp_path / "r.safetensors")
    read = load_record(tmp_path / "r.safetensors")
    assert (read.plan, read.fingerprint, read.walk.digests) == (made.plan, made.fingerprint, made.walk.digests)
    assert read.walk.bits.steps.keys() == made.walk.bits.steps.keys()
    assert all(torch.equal(read.walk.bits.steps[s], t) for s, t in made.walk.bits.steps.items())
    assert torch.equal(read.walk.pair.noisier, made.walk.pair.noisier)
    assert torch.equal(read.walk.pair.cleaner, made.walk.pair.cleaner)
    assert all(torch.equal(read.walk.states[n], t) for n, t in made.walk.states.items())
    assert torch.equal(read.replay(mixture(), here(mixture())).pair.cleaner, arithmetic(made.plan).enter(clean()))


def test_a_new_process_replays_it_to_the_bit(tmp_path: Path) -> None:
    record("o-belm").save(tmp_path / "r.safetensors")
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import torch\n"
        f"torch.set_num_threads({torch.get_num_threads()})\n"
        "from test_diffusion_record import here, mixture\n"
        "from sfumato.diffusion.lattice import digest\n"
        "from sfumato.diffusion.record import load_record\n"
        f"found = load_record({str(tmp_path / 'r.safetensors')!r})\n"
        "print(digest(found.replay(mixture(), here(mixture())).pair.cleaner))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == record().walk.digests[0]


def test_side_bits_travel_too(tmp_path: Path) -> None:
    """Noise -> image, recorded, -> the same noise."""
    plan = make_plan(log_grid(TABLE, 50), 0.96)
    noise = torch.randn(4, SIZE, generator=seeded(3))
    made = InversionRecord(plan, sample(plan, mixture(), noise), "eps", here(mixture()))
    made.save(tmp_path / "r.safetensors")
    back = reinvert(plan, mixture(), load_record(tmp_path / "r.safetensors").walk, verify=True)
    assert torch.equal(back.pair.noisier, arithmetic(plan).enter(noise))


def test_the_same_record_is_the_same_bytes_stamp_and_all(tmp_path: Path) -> None:
    made, files = record(), set()
    stamp = {f"sfumato:{name}": name for name in ("tool", "version", "job", "seed", "device")}
    for number in range(6):  # words in the header of a safetensors file come in another order every time
        made.save(tmp_path / f"{number}.safetensors", stamp)
        files.add((tmp_path / f"{number}.safetensors").read_bytes())
    assert len(files) == 1
    with safe_open(tmp_path / "0.safetensors", "pt") as file:
        assert file.metadata().items() >= stamp.items()
    assert load_record(tmp_path / "0.safetensors").walk.digests == made.walk.digests


def test_a_record_is_two_latents_and_a_little(tmp_path: Path) -> None:
    plan = make_plan(log_grid(TABLE, 50))
    model = stiff_mixture(4096, seeded(), dtype=torch.float32)
    walk = invert(plan, model, torch.zeros(1, 4096))
    InversionRecord(plan, walk, "eps", here(mixture())).save(tmp_path / "r.safetensors")
    assert (tmp_path / "r.safetensors").stat().st_size <= 2 * 4 * 4096 + 6 * 1024


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("model", "another"),
        ("conditions", "a blue ball"),
        ("dtype", "bfloat16"),
        ("layout", "2 x (4, 24) contiguous"),
        ("threads", "99"),
        ("attention", "math"),
        ("arithmetic", "high matmul, TF32 matmul"),
        ("device", "cuda: another"),
        ("versions", "sfumato 9, torch 9"),
    ],
)
def test_what_changed_is_named(part: str, value: str) -> None:
    made = record()
    other = replace(here(mixture()), **{part: value})
    with pytest.raises(RecordMismatchError) as refused:
        made.replay(mixture(), other)
    assert [line.partition(":")[0] for line in refused.value.differences] == [part]
    assert value in refused.value.message
    assert "invert again here" in refused.value.hint


def test_another_model_is_named_by_its_weights_and_by_its_prediction() -> None:
    model = Mixture(mixture().means.nextafter(torch.tensor(9.0)), mixture().stds)
    with pytest.raises(RecordMismatchError, match="model: "):
        record().replay(model, here(model))
    with pytest.raises(RecordMismatchError, match="prediction: eps in the record, v here"):
        record().replay(replace(mixture(), prediction="v"), here(mixture()))


def test_threads_and_layout_are_seen_in_this_process() -> None:
    before = torch.get_num_threads()
    one = take_fingerprint("m", "c", torch.zeros(1, 4, 8, 8))
    torch.set_num_threads(before + 1)
    try:
        two = take_fingerprint("m", "c", torch.zeros(1, 4, 8, 8).to(memory_format=torch.channels_last), batch=2)
    finally:
        torch.set_num_threads(before)
    assert [line.partition(":")[0] for line in one.differences(two)] == ["layout", "threads"]


def test_a_mismatch_falls_back_on_stored_states_to_the_bit() -> None:
    """Another network altogether, and the stored latent still comes back."""
    made = record(store=True)
    other = Mixture(mixture().means + 1e-3, mixture().stds)
    with pytest.raises(RecordMismatchError) as refused:
        made.replay(other, here(other))
    assert "replay its stored states" in refused.value.hint
    with pytest.raises(DriftedError, match="at noise level 18 of 20"):
        made.replay(other, here(other), anyway=True)
    back = made.replay(other, here(other), stored=True)
    assert torch.equal(back.pair.cleaner, arithmetic(made.plan).enter(clean()))


@pytest.mark.parametrize("seed", range(4))
def test_every_changed_bit_of_the_pair_is_caught(seed: int) -> None:
    made = record()
    for where, bit, which in torch.randint(4 * SIZE, (25, 3), generator=seeded(seed)).tolist():
        states = [made.walk.pair.noisier.clone(), made.walk.pair.cleaner.clone()]
        states[which % 2].view(-1)[where] ^= 1 << (bit % 24)
        with pytest.raises(DriftedError):
            resample(made.plan, mixture(), replace(made.walk, pair=LatentPair(*states, 20)), verify=True)


@pytest.mark.parametrize("gamma", [1.0, 0.96])
@pytest.mark.parametrize("node", range(1, 20))
def test_a_step_off_by_one_unit_is_caught_at_once(node: int, gamma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smallest fault there is: one element of one step, one unit of the lattice."""
    made = record(gamma)
    entered = []
    states = arithmetic(made.plan)
    whole = type(states).enter

    def enter(self: object, z: torch.Tensor) -> torch.Tensor:
        m = whole(self, z)  # type: ignore[arg-type]
        entered.append(m)
        if len(entered) == 20 - node:
            m.view(-1)[7 * node % m.numel()] ^= 1
        return m

    monkeypatch.setattr(type(states), "enter", enter)
    with pytest.raises(DriftedError) as caught:
        resample(made.plan, mixture(), made.walk, verify=True)
    assert caught.value.node == node - 1


def test_a_damaged_file_is_refused_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "r.safetensors"
    record().save(path)
    whole = path.read_bytes()
    for data in (b"", b"not a record", whole[:100], whole[:-1]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="not an inversion record"):
            load_record(path)
    with pytest.raises(InputError, match="cannot read"):
        load_record(tmp_path / "nowhere.safetensors")
    for where in torch.randint(8, 8 * len(whole), (60,), generator=seeded()).tolist():
        data = bytearray(whole)
        data[where // 8] ^= 1 << where % 8
        path.write_bytes(data)
        with pytest.raises(InputError):
            load_record(path)
    path.write_bytes(whole.replace(b"sfumato.inversion/1", b"sfumato.inversion/2"))
    with pytest.raises(InputError, match="inversion/2"):
        load_record(path)


def test_a_file_with_one_latent_is_refused(tmp_path: Path) -> None:
    from safetensors import safe_open

    path = tmp_path / "r.safetensors"
    record().save(path)
    with safe_open(path, "pt") as file:
        about = file.metadata()
    tensors = load_file(path)
    del tensors["cleaner"]
    save_file(tensors, path, about)
    with pytest.raises(InputError, match="holds one latent"):
        load_record(path)


def test_a_model_of_other_weights_in_the_same_place_is_another_model() -> None:
    weights = {"a": torch.zeros(3), "b": torch.zeros(2, dtype=torch.bfloat16), "c": torch.tensor(1.0)}
    same = dict(reversed(weights.items()))
    assert weights_digest(weights) == weights_digest(same)
    for changed in ({"a": torch.zeros(3, 1)}, {"b": torch.zeros(2)}, {"c": torch.tensor(2.0)}, {"d": torch.zeros(1)}):
        assert weights_digest(weights) != weights_digest(weights | changed)


def test_float_walks_are_not_recorded(tmp_path: Path) -> None:
    plan = make_plan(log_grid(TABLE, 10), level=None)
    made = InversionRecord(plan, invert(plan, mixture(), clean()), "eps", here(mixture()))
    with pytest.raises(RequestError, match="floats"):
        made.save(tmp_path / "r.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_record_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record().save(tmp_path / "r.safetensors")
    before = (tmp_path / "r.safetensors").read_bytes()

    def fail(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        record(0.96).save(tmp_path / "r.safetensors")
    assert (tmp_path / "r.safetensors").read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["r.safetensors"]
