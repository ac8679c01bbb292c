"""Fine-tuning: pictures and words, levels and targets, a loop that comes out the same however often it is stopped."""

import copy
import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("diffusers", reason="needs diffusers")

from sfumato.atomic import write_bytes
from sfumato.diffusion.schedule import scaled_linear
from sfumato.errors import Cancelled, InputError, RequestError
from sfumato.io import write_image
from sfumato.models.load import load_model
from sfumato.models.model import Levels
from sfumato.plate import Plate, Window
from sfumato.train.checkpoints import read_tensors
from sfumato.train.encoded import encode
from sfumato.train.fine_tune import BEST, CHECKPOINT, FineTune, Trainer, split
from sfumato.train.measured import measure
from sfumato.train.noise import Rows, drawn_rows, loss_of, wanted
from sfumato.train.pictures import find_pictures, read_all, read_picture
from sfumato.train.result import parameters_of, write_folder
from sfumato.train.stacks import make_plain, make_reversible, stacks_of

QUICK = FineTune(steps=6, batch=2, rate=1e-3, warm=2, look=3, seed=4)


def picture(path, seed=0, size=(24, 40)):
    path.parent.mkdir(parents=True, exist_ok=True)
    draw = torch.Generator().manual_seed(seed)
    window = Window(0, 0, size[1], size[0])
    pixels = torch.rand(3, 1, 1, generator=draw).expand(3, *size).contiguous()
    write_image(path, Plate(pixels, ("R", "G", "B"), "sRGB", window, window, coded=True))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    there = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        picture(there / f"p{number}.png", number).with_suffix(".txt").write_text("a red ball on snow")
    return there


@pytest.fixture(scope="module")
def model():
    return load_model("embedded_micro")


@pytest.fixture(scope="module")
def data(folder, model, tmp_path_factory):
    return encode(model, find_pictures(folder), tmp_path_factory.mktemp("codes") / "encoded.safetensors")


def trainer(model, data, folder, how=QUICK, about=None):
    network = copy.deepcopy(model.network)
    denoiser = type(model.denoiser)(network, model.denoiser.prediction, model.denoiser.factor)
    return Trainer(network, denoiser, model.levels, data, how, folder, about)


def stop_at(last):
    def report(step):
        if step.step == last:
            raise Cancelled("stopped")

    return report


def weights(network):
    return {name: weight.detach().clone() for name, weight in network.named_parameters()}


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(model, data, tmp_path):
    for how in (QUICK, FineTune(**{**vars(QUICK), "reversible": True})):
        there = tmp_path / str(how.reversible)
        whole = trainer(model, data, there / "whole", how)
        known = whole.run()
        first = trainer(model, data, there / "cut", how)
        with pytest.raises(Cancelled):
            first.run(stop_at(5))
        second = trainer(model, data, there / "cut", how)
        assert second.resume() == 3
        assert second.run() == known
        left, right = weights(whole.network), weights(second.network)
        assert all(torch.equal(left[name], right[name]) for name in left)
        assert not stacks_of(second.network)


def test_it_learns_and_the_result_is_the_best_look(model, data, tmp_path):
    one = trainer(model, data, tmp_path, FineTune(steps=16, batch=4, rate=2e-3, look=4, seed=1))
    outcome = one.run()
    held = [look.held for look in outcome.looks]
    assert min(held) < 0.8 * held[0]
    assert outcome.looks[held.index(min(held))].step == outcome.best
    best = read_tensors(tmp_path / BEST.format(outcome.best))[0]
    assert all(torch.equal(best[name], weight) for name, weight in one.network.named_parameters())


def test_the_best_weights_that_a_checkpoint_knows_are_there_whatever_came_after_it(model, data, tmp_path):
    how = FineTune(steps=16, batch=4, rate=2e-3, look=4, seed=1)
    one = trainer(model, data, tmp_path, how)
    one._look(lambda look: None)
    for _ in range(4):
        one.step()
    one.save()  # its best look is the one at step 0
    one._look(lambda look: None)
    assert one.outcome.best == 4  # written, and then it was killed
    again = trainer(model, data, tmp_path, FineTune(**{**vars(how), "steps": 4}))
    again.resume()
    assert again.outcome.best == 0
    first = read_tensors(tmp_path / BEST.format(0))[0]
    assert not all(torch.equal(first[name], weight) for name, weight in again.network.named_parameters())
    again._take_best()
    assert all(torch.equal(first[name], weight) for name, weight in again.network.named_parameters())


def test_it_stops_when_looking_finds_nothing_better(model, data, tmp_path):
    one = trainer(model, data, tmp_path, FineTune(steps=500, batch=2, rate=0.5, warm=1, look=2, patience=2, seed=1))
    outcome = one.run()
    assert one.done <= 20
    assert "2 looks without a better one" in outcome.stopped


def test_other_settings_are_named_and_nothing_to_go_on_with_is_said(model, data, tmp_path):
    with pytest.raises(InputError, match=r"no training in .* to go on with"):
        trainer(model, data, tmp_path).resume()
    one = trainer(model, data, tmp_path, about={"model": "abc"})
    one.step()
    one.save()
    other = FineTune(**{**vars(QUICK), "rate": 2e-3, "batch": 3})
    with pytest.raises(RequestError, match=r"batch was 2 and is now 3; rate was 0.001 and is now 0.002"):
        trainer(model, data, tmp_path, other, about={"model": "abc"}).resume()
    with pytest.raises(RequestError, match="model was abc and is now xyz"):
        trainer(model, data, tmp_path, about={"model": "xyz"}).resume()
    assert (
        trainer(model, data, tmp_path, FineTune(**{**vars(QUICK), "steps": 60}), about={"model": "abc"}).resume() == 1
    )
    write_bytes(tmp_path / CHECKPOINT, b"half a file")
    with pytest.raises(InputError, match="no checkpoint"):
        trainer(model, data, tmp_path).resume()


def test_a_picture_that_the_codec_makes_no_number_of_is_named(folder, model, tmp_path):
    class Overflowing:
        def encode(self, shown):
            return torch.full((1, 4, 2, 2), torch.inf if shown.mean() > 0 else 0.0)

    moody = dataclasses.replace(model, codec=Overflowing())
    with pytest.raises(InputError, match=r"no number of .*p\d\.png"):
        encode(moody, find_pictures(folder), tmp_path / "encoded.safetensors")
    assert not (tmp_path / "encoded.safetensors").exists()


def test_a_loss_that_is_no_number_says_what_to_change(model, data, tmp_path):
    one = trainer(model, data, tmp_path)
    with torch.no_grad():
        next(one.network.parameters()).fill_(torch.nan)
    with pytest.raises(RequestError, match="not a number at step 1") as found:
        one.step()
    assert "weights" in found.value.hint
    one.done = 3
    with pytest.raises(RequestError, match="not a number at step 4") as found:
        one.step()
    assert "lower --rate" in found.value.hint
    with pytest.raises(RequestError, match="held-out pictures after step 3"):
        one.held_loss()


@given(st.integers(0, 2**31), st.sampled_from(["eps", "v", "x0", "flow"]))
@settings(max_examples=10, deadline=None)
def test_what_is_wanted_gives_back_the_clean_picture(seed, prediction):
    draw = torch.Generator().manual_seed(seed)
    clean, noise = torch.randn(2, 3, 4, 4, 4, generator=draw)
    table = None if prediction == "flow" else scaled_linear()
    rows = drawn_rows(Levels(prediction, table, 3.0), torch.rand(3, generator=draw))
    alpha, sigma = (level.view(-1, 1, 1, 1) for level in (rows.alpha, rows.sigma))
    z, answer = alpha * clean + sigma * noise, wanted(prediction, clean, noise, rows)
    back = {
        "eps": lambda: (z - sigma * answer) / alpha,
        "x0": lambda: answer,
        "flow": lambda: z - sigma * answer,
        "v": lambda: alpha * z - sigma * answer,
    }[prediction]()
    assert float((back - clean).abs().max()) < 1e-3 / float(rows.alpha.min())


def test_each_row_is_asked_at_its_own_time(model, data):
    network, denoiser = model.network, model.denoiser
    clean, said = data.latents([0, 1, 2]), data.context([1, 1, 1])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    rows = drawn_rows(model.levels, torch.tensor([0.1, 0.5, 0.9]))
    with torch.no_grad():
        together = loss_of(denoiser, network, clean, noise, rows, said)
        for row in range(3):
            node = model.levels.table.at(float(rows.time[row]))
            z = node.alpha * clean[row : row + 1] + node.sigma * noise[row : row + 1]
            answer = denoiser(z, node, data.context([1]))
            one = Rows(*(level[row : row + 1] for level in rows))
            target = wanted(denoiser.prediction, clean[row : row + 1], noise[row : row + 1], one)
            assert float((answer - target).square().mean()) == pytest.approx(float(together[row]), rel=1e-4)


def test_pictures_of_any_size_fill_the_models_frame(tmp_path, folder):
    wide = picture(tmp_path / "wide.png", 1, (10, 300))
    assert read_picture(wide, (16, 16)).shape == (3, 16, 16)
    assert read_picture(picture(tmp_path / "high.png", 1, (300, 10)), (8, 24)).shape == (3, 8, 24)
    flat = read_picture(wide, (16, 16))
    assert float((flat - flat[:, :1, :1]).abs().max()) < 1e-5
    assert float((flat - read_picture(tmp_path / "high.png", (16, 16))).abs().max()) < 1e-5


def test_what_is_wrong_with_a_folder_is_said_in_a_sentence(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        find_pictures(tmp_path / "none")
    with pytest.raises(InputError, match="no picture in"):
        find_pictures(tmp_path)
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / ".hidden" / "b.png")
    with pytest.raises(RequestError, match=r"1 of 1 pictures have no caption: in/a.png"):
        find_pictures(tmp_path)
    assert [one.prompt for one in find_pictures(tmp_path, "a hall")] == ["a hall"]
    (tmp_path / "in" / "a.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        find_pictures(tmp_path)
    (tmp_path / "in" / "a.txt").write_text("own words\n")
    (tmp_path / "in" / "c.png").write_bytes(b"not a picture")
    found = find_pictures(tmp_path, "a hall")
    assert [one.prompt for one in found] == ["own words", "a hall"]
    with pytest.raises(InputError, match=r"1 of 2 pictures cannot be read: c.png"):
        read_all(found, (16, 16))


def test_codes_are_made_once_for_the_same_pictures(folder, model, data):
    stamp = data.path.stat().st_mtime_ns
    assert encode(model, find_pictures(folder), data.path) == data
    assert data.path.stat().st_mtime_ns == stamp
    assert data.path.stat().st_mode & 0o044 == 0o044  # others may read it
    encode(model, find_pictures(folder)[:5], data.path.with_name("fewer.safetensors"))
    known = model.codec.encode(read_picture(find_pictures(folder)[2].path, model.size)[None])
    assert torch.equal(data.latents([2]), known)


@given(st.integers(1, 500), st.floats(0.01, 0.9), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_no_picture_is_both_learned_and_held_out(count, share, seed):
    learned, held = split(count, FineTune(held=share, seed=seed))
    assert sorted(learned + held) == list(range(count))
    assert learned
    assert bool(held) == (count >= 4)


def test_reversible_blocks_need_less_and_the_estimate_says_so(model, data):
    network = copy.deepcopy(model.network)
    denoiser = type(model.denoiser)(network, model.denoiser.prediction, model.denoiser.factor)
    found = measure(denoiser, model.levels, network, data, FineTune(batch=8))
    assert found.weights == 4 * found.parameters == 4 * sum(p.numel() for p in network.parameters())
    assert found.optimiser == 2 * found.weights
    assert found.undone < 0.6 * found.kept
    assert found.total(False) == 4 * found.weights + found.kept
    assert found.fits(True)
    assert not stacks_of(network)
    assert all(p.grad is None for p in network.parameters())
    assert parameters_of("embedded_micro") == pytest.approx(found.parameters, rel=0.1)


def test_a_network_without_a_plain_list_of_blocks_is_refused():
    with pytest.raises(RequestError, match="Linear has no list of residual blocks"):
        make_reversible(torch.nn.Linear(2, 2))


def test_the_result_is_a_folder_that_loads_and_says_what_it_has_seen(model, tmp_path):
    network = copy.deepcopy(model.network)
    make_reversible(network)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.01)
    make_plain(network)
    about = {"pictures": 6, "note": "ours", "before": 0.5, "after": 0.25, "files": [{"name": "a.png", "digest": "12"}]}
    out = write_folder("embedded_micro", network, tmp_path / "m v2", about)
    found = load_model(out)
    assert found.name == "m v2"
    assert found.licence == model.licence
    stored = dict(found.network.named_parameters())
    assert all(torch.equal(p.half().float(), stored[name]) for name, p in network.named_parameters())
    assert found.digest != model.digest
    told = json.loads((out / "training.json").read_text())
    assert told["base"] == "embedded_micro"
    assert told["note"] == "ours"
    card = (out / "README.md").read_text()
    assert "`a.png` blake2b 12" in card
    assert "0.5 before, 0.25 after" in card
    again = write_folder(out, found.network, tmp_path / "third", about)
    assert load_model(again).digest == found.digest
