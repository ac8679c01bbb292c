"""Edits as jobs: what lies on disk afterwards, what a second run does, and that nothing was changed unasked."""

import json
import pathlib
import shutil
import socket

import pytest
import torch

from sfumato.io import read_header, read_image
from sfumato_plugins.report import Teller
from sfumato_plugins.run import run


def bits(pixels):
    return pixels.contiguous().view(torch.int32)


def test_the_plate_comes_back_bit_for_bit_where_the_mask_is_0_and_every_layer_says_what_it_should(editing):
    run(editing.write(1).job())
    plate, edit, mask = editing.pixels(1), editing.read(), editing.matte(1)
    assert edit.channels == ("R", "G", "B", "delta.R", "delta.G", "delta.B", "mask.A")
    outside = (mask == 0).expand(3, -1, -1)
    assert torch.equal(bits(edit.rgb())[outside], bits(plate)[outside])
    delta = torch.cat([edit.channel(f"delta.{name}") for name in "RGB"])
    assert float(delta.abs().max()) > 0.01
    there = plate.isfinite().all(0)
    assert torch.equal(bits(plate + delta)[:, there], bits(edit.rgb())[:, there])
    assert torch.equal(edit.channel("mask.A"), mask)
    assert plate[:, there].max() > 50
    assert not edit.rgb()[:, 40, 5].isfinite().any(), "the hole is there still"


@pytest.mark.parametrize("how", ["source is target", "strength 0", "black mask"])
def test_an_edit_of_nothing_makes_the_trip_and_gives_the_plates_own_bits(editing, how):
    editing.write(1)
    params = {"source is target": {"target": editing.SOURCE}, "strength 0": {"strength": 0.0}}.get(how, {})
    if how == "black mask":
        editing.save(editing.folder / "mask.0001.exr", torch.zeros(1, 48, 64), ("A",))
    run(editing.job(params=params))
    assert torch.equal(bits(editing.read().rgb()), bits(editing.pixels(1)))
    stats = editing.result()["frames"][0]["stats"]
    assert stats["changed"] == 0
    assert stats["exact"] is True
    assert min(stats["calls_up"], stats["calls_source"]) > 0, "the trip was made"
    assert stats["recon_digest"] == stats["replay_digest"] != ""


def test_what_made_a_frame_stands_in_it_and_in_the_result(editing):
    from sfumato.models.load import read_about

    run(editing.write(1).job())
    inside, result = read_header(editing.output()).main.metadata, editing.result()
    digest = read_about(editing.model).digest
    for told in (inside["sfumato:trained_weights"], result["trained_weights"]):
        assert told == f"tiny, sha256 {digest}, licence apache-2.0"
    assert (inside["sfumato:generative"], result["generative"]) == ("yes", "yes")
    stats = result["frames"][0]["stats"]
    assert (
        int(inside["sfumato:network_calls"])
        == stats["calls"]
        == sum(stats[f"calls_{n}"] for n in ("up", "source", "target"))
    )
    assert inside["sfumato:recon_digest"] == inside["sfumato:replay_digest"] == stats["recon_digest"]
    assert inside["sfumato:tool"] == "edit"
    assert {"latent_mean", "latent_deviation", "latent_neighbours", "seconds_up", "seconds_down"} <= set(stats)


@pytest.mark.parametrize("allowed", [False, True])
def test_prompts_are_in_metadata_only_where_the_site_says_so(editing, allowed, monkeypatch):
    site = editing.folder / "site.toml"
    site.write_text(f"prompts_in_metadata = {str(allowed).lower()}\n")
    monkeypatch.setenv("SFUMATO_SITE", str(site))
    out = {"edit": editing.edit, "page": str(editing.folder / "out" / "page.html")}
    run(editing.write(1).job(outputs=out))
    run(editing.inverting())
    written = b"".join(p.read_bytes() for p in sorted((editing.folder / "out").iterdir()) if p.is_file())
    for prompt in (editing.SOURCE, editing.TARGET):
        assert (prompt.encode() in written) is allowed
    assert (read_header(editing.output()).main.metadata.get("sfumato:target") == editing.TARGET) is allowed


def test_a_second_run_keeps_every_frame_and_says_why_one_is_made_again(editing, another_model):
    editing.write(1, 2)
    assert run(editing.job("1-2"))["computed"]["main"] == [1, 2]
    assert run(editing.job("1-2"))["kept"]["main"] == [1, 2]
    editing.write(2).save(editing.folder / "plate.0002.exr", editing.pixels(2) * 0.9)
    assert run(editing.job("1-2"))["computed"]["main"] == [2]
    run(editing.job("1-2", params={"target": "a green ball on grass"}))
    run(editing.job("1-2", params={"target": "a green ball on grass", "model": another_model(seed=3)}), frames=[1])
    run(editing.job("1", params={"guidance": 2.0}), force=True)
    why = [line["why"] for line in editing.journal() if line["did"] == "computed"]
    assert why[2] == "plate 2 changed"
    assert why[3] == "target changed"
    assert why[5].startswith("model was ")
    assert why[6] == "forced"


def test_a_models_folder_that_moved_makes_nothing_stale(editing, tmp_path):
    run(editing.write(1).job())
    moved = shutil.copytree(editing.model, tmp_path / "elsewhere")
    assert run(editing.job(params={"model": str(moved)}))["kept"]["main"] == [1]
    (moved / "scheduler" / "scheduler_config.json").write_text(
        (moved / "scheduler" / "scheduler_config.json").read_text().replace("0.02", "0.019")
    )
    assert run(editing.job(params={"model": str(moved)}))["computed"]["main"] == [1]


def test_a_frames_bytes_do_not_depend_on_how_the_job_was_cut(editing, tmp_path_factory):
    editing.write(1, 2, 3)
    run(editing.job("1-3"))
    whole = {frame: editing.output(frame).read_bytes() for frame in (1, 2, 3)}
    shutil.rmtree(editing.folder / "out")
    for frame in (3, 1, 2):
        run(editing.job("1-3"), frames=[frame])
    assert {frame: editing.output(frame).read_bytes() for frame in (1, 2, 3)} == whole
    assert editing.result()["sequence"]["main"]["plate_flicker"] > 0


def test_a_missing_frame_is_held_or_skipped_if_told(editing):
    editing.write(1, 3)
    assert run(editing.job("1-3", missing="skip"))["skipped"]["main"] == [2]
    done = run(editing.job("1-3", missing="hold", outputs={"edit": str(editing.folder / "held" / "E.####.exr")}))
    assert done["held"]["main"]["plate"] == {1: (2,)}


def test_every_other_channel_of_the_plate_stays_and_layers_may_be_files(editing):
    depth = torch.arange(48 * 64).view(1, 48, 64) * 1.7
    save = editing.write(1).save
    save(editing.folder / "plate.0001.exr", torch.cat([editing.pixels(1), depth]), ("R", "G", "B", "Z"))
    out = str(editing.folder / "layers" / "{layer}.####.exr")
    run(editing.job(outputs={"edit": out}))
    main, delta, mask = (read_image(editing.folder / "layers" / f"{n}.0001.exr") for n in ("rgba", "delta", "mask"))
    assert main.channels == ("R", "G", "B", "Z")
    assert torch.equal(main.channel("Z"), depth)
    assert (delta.channels, mask.channels) == (("R", "G", "B"), ("A",))
    assert run(editing.job(outputs={"edit": out}))["kept"]["main"] == [1]


def test_an_edit_of_an_edit_has_one_set_of_layers(editing):
    run(editing.write(1).job())
    again = {"plate": str(editing.output()), "mask": editing.mask}
    run(editing.job(inputs=again, outputs={"edit": str(editing.folder / "twice" / "E.####.exr")}))
    twice = read_image(editing.folder / "twice" / "E.0001.exr")
    assert len(twice.channels) == 7
    assert [k for k in twice.metadata if k == "sfumato:job"] == ["sfumato:job"]


def test_a_still_of_integers_is_edited_in_its_own_values(editing):
    coded = (editing.pixels(1).nan_to_num(0.5).clamp(0, 1) * 255).round() / 255
    editing.write(1).save(editing.folder / "still.png", coded, coded=True)
    run(editing.job(inputs={"plate": str(editing.folder / "still.png"), "mask": str(editing.folder / "mask.0001.exr")}))
    edit, given = editing.read(), read_image(editing.folder / "still.png").rgb()
    outside = (editing.matte(1) == 0).expand(3, -1, -1)
    assert torch.equal(edit.rgb()[outside], given[outside])
    assert not torch.equal(edit.rgb(), given)


def test_an_inversion_kept_in_a_file_gives_the_same_edit_without_going_up_again(editing):
    inverting = editing.write(1).inverting()
    record = inverting.outputs["record"]
    done = run(inverting)
    assert done["frames"][0]["stats"]["calls"] > 0
    first = pathlib.Path(record.replace("####", "0001")).read_bytes()
    assert run(inverting)["kept"]["main"] == [1]
    assert run(inverting, force=True)["computed"]["main"] == [1]
    assert pathlib.Path(record.replace("####", "0001")).read_bytes() == first, "the same bytes"
    run(editing.job())
    straight = editing.read().pixels
    inputs = {"plate": editing.plate, "mask": editing.mask, "record": record}
    run(editing.job(inputs=inputs), force=True)
    assert torch.equal(bits(editing.read().pixels), bits(straight))
    stats = editing.result()["frames"][0]["stats"]
    assert (stats["calls_up"], stats["exact"]) == (0, True)


def test_a_record_killed_before_its_books_is_taken_up(editing):
    record, asked = editing.folder / "out" / "R.0001.safetensors", editing.write(1).inverting()
    run(asked)
    record.with_suffix(".json").unlink()
    assert run(asked)["kept"]["main"] == [1]
    record.with_suffix(".json").unlink()
    record.write_bytes(record.read_bytes()[:-8])
    assert run(asked)["computed"]["main"] == [1]


@pytest.mark.parametrize("attention", ["replace", "refine", "reweight"])
def test_attention_control_walks_both_prompts_side_by_side(editing, attention):
    params = {"attention": attention, "reweight": "blue=2" if attention == "reweight" else ""}
    run(editing.write(1).job(params=params))
    stats = editing.result()["frames"][0]["stats"]
    assert stats["exact"] is True
    assert stats["calls_up"] > stats["calls_source"] == stats["calls_target"] > 0
    outside = (editing.matte(1) == 0).expand(3, -1, -1)
    assert torch.equal(bits(editing.read().rgb())[outside], bits(editing.pixels(1))[outside])


class Heard(Teller):
    """Keeps what was said."""

    said = ()

    def say(self, text):
        self.said = (*self.said, text)


def test_a_sequence_that_flickers_more_than_its_plate_is_warned_of(editing):
    for frame in (1, 2, 3):  # a plate that stands still, so that any flicker is ours
        editing.save(editing.folder / f"plate.{frame:04d}.exr", editing.pixels(3))
        editing.save(editing.folder / f"mask.{frame:04d}.exr", editing.matte(frame) > 0.5, ("A",))
    heard = Heard()
    run(editing.job("1-3"), teller=heard)
    assert any(line.startswith("edit: flicker ") for line in heard.said)
    assert any("warning: the edit flickers" in line and "track it as a patch" in line for line in heard.said)
    told = editing.result()["sequence"]["main"]
    assert told["flicker"] > told["plate_flicker"] == 0
    assert any("licence" in line for line in heard.said) is False, "apache-2.0 needs no warning"


def test_words_a_model_never_learnt_are_named(editing):
    heard = Heard()
    run(editing.write(1).job(params={"target": "a blue zebra on grass"}), teller=heard)
    assert any("tiny never learnt zebra (in target)" in line for line in heard.said)


def test_a_long_shot_is_looked_at_in_parts_for_its_flicker(editing, monkeypatch):
    from sfumato_plugins.editing import flicker

    monkeypatch.setattr(flicker, "MOST", 2)
    editing.write(*range(1, 8))
    run(editing.job("1-7"))
    assert editing.result()["sequence"]["main"]["ratio"] > 0


def test_nothing_is_asked_of_the_network(editing, monkeypatch):
    class Refused(socket.socket):
        def connect(self, *given):
            raise AssertionError(f"a connection to {given}")

        connect_ex = connect

    monkeypatch.setattr(socket, "socket", Refused)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **more: (_ for _ in ()).throw(AssertionError(given)))
    run(editing.write(1).job(outputs={"edit": editing.edit, "page": str(editing.folder / "page.html")}))
    run(editing.inverting())
    assert json.loads((editing.folder / "out" / "R.result.json").read_text())["generative"] == "yes"


def test_a_plate_in_wide_primaries_is_shown_to_the_model_as_it_looks_and_keeps_its_bits(editing):
    editing.write(1)
    job = editing.job(color={"plate": "ACEScg"})
    run(job)
    edit, outside = editing.read(), (editing.matte(1) == 0).expand(3, -1, -1)
    assert edit.space == "lin_ap1_scene"
    assert torch.equal(bits(edit.rgb())[outside], bits(editing.pixels(1))[outside])
