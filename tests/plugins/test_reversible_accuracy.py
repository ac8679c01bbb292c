"""What reversible training makes of accuracy: every way learns, finished runs are kept, intervals are Student's."""

import pytest

torch = pytest.importorskip("torch", reason="benches measure the engine")

from sfumato_plugins.benches import vit  # noqa: E402
from sfumato_plugins.benches.vit_train import Pictures, Recipe, shifted  # noqa: E402
from sfumato_plugins.cli import main  # noqa: E402


def pictures(count):
    """Their class is their colour."""
    g = torch.Generator().manual_seed(0)
    classes = torch.randint(3, (2 * count,), generator=g)
    inputs = torch.randint(100, (2 * count, 3, 32, 32), generator=g, dtype=torch.uint8)
    inputs[torch.arange(2 * count), classes] += 120
    return Pictures(inputs[:count], classes[:count], inputs[count:], classes[count:])


def test_every_way_learns_and_a_finished_run_is_found_again(tmp_path):
    recipe = Recipe(48, 4, patch=16, ratio=1, batch=8, rate=3e-3)
    rows = vit.rows(pictures(48), recipe, [0, 3], work=tmp_path)
    measured, means = rows[:8], rows[8:]
    assert [row["method"] for row in measured[:4]] == list(vit.WAYS)
    assert all(row["accuracy"] > 80 for row in measured)
    assert len({row["loss"] for row in measured}) == 8
    assert {(row["seeds"], row["pictures"], row["epochs"]) for row in means} == {(2, 48, 4)}
    assert "over" not in means[0]
    assert all(row["low"] <= row["over"] <= row["high"] for row in means[1:])
    assert [t["value"] for t in vit.targets(rows)] == [round(means[1][name], 4) for name in ("over", "low")]
    assert vit.rows(None, recipe, [0, 3], work=tmp_path) == rows  # nothing is left to train


def test_the_interval_of_a_mean_is_students():
    mean, half = vit.interval([1.0, 2.0, 3.0])
    assert (mean, half) == (2.0, pytest.approx(4.303 / 3**0.5, rel=1e-6))
    assert vit.interval([1.5]) == (1.5, None)


def test_shifted_pictures_are_windows_of_the_padded_picture_or_of_its_mirror():
    g = torch.Generator().manual_seed(1)
    given = torch.randint(256, (20, 3, 8, 6), generator=g, dtype=torch.uint8)
    moved = shifted(given, g, most=2)
    wide = torch.nn.functional.pad(given, (2, 2, 2, 2), value=127)
    turned = 0
    for one, all_of_it in zip(moved, wide, strict=True):
        windows = [all_of_it[:, y : y + 8, x : x + 6] for y in range(5) for x in range(5)]
        straight = any(torch.equal(one, window) for window in windows)
        turned += not straight
        assert straight or any(torch.equal(one.flip(2), window) for window in windows)
    assert 4 < turned < 16


def test_pictures_that_are_not_there_and_too_many_seeds_are_said_before_anything_is_measured(tmp_path, capsys):
    assert main(["bench", "reversible", "--data", str(tmp_path / "nowhere")]) == 3
    assert f"no CIFAR-10 train pictures in {tmp_path / 'nowhere' / 'cifar10_jpeg'}" in capsys.readouterr().err
    seeds = ",".join(map(str, range(11)))
    assert main(["bench", "reversible", "--data", str(tmp_path), "--seeds", seeds]) == 2
    assert "11 seeds" in capsys.readouterr().err
