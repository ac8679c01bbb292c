"""`sfumato bench edm`: samplers at equal calls from the same noise, pictures that are kept, honest intervals."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from sfumato.diffusion.mixture import stiff_mixture
from sfumato.diffusion.schedule import Node
from sfumato.models.edm import Size, make_network
from sfumato.models.edm_features import CifarResnet
from sfumato_plugins.benches import edm
from sfumato_plugins.benches.edm_measure import interval
from sfumato_plugins.benches.edm_samples import CHUNK, OPTIMAL, Shelf, candidates, methods, start
from sfumato_plugins.cli import main


@pytest.mark.parametrize("calls", [*edm.BUDGETS, 35])
def test_no_method_makes_more_calls_than_edm_and_each_as_many_as_it_says(calls: int) -> None:
    mixture = stiff_mixture(4, torch.Generator().manual_seed(0), prediction="x0")
    noise = 80 * torch.randn(2, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    class Counted:
        prediction, calls = "x0", 0

        def __call__(self, latent: Tensor, node: Node) -> Tensor:
            self.calls += 1
            return mixture(latent, node)

    found = {}
    for method in [*methods(calls), *candidates(calls)]:
        counted = Counted()
        method.draw(counted, noise)
        found[method.name] = counted.calls
        assert counted.calls == method.calls
    assert set(found.values()) <= {calls, calls - 1}
    assert found[OPTIMAL] == found["EDM, Heun"] == found["EDM, Euler"] == calls


def test_noise_is_the_same_for_every_method_and_another_for_every_seed_and_chunk() -> None:
    noise, label = start(0, 0)
    assert torch.equal(noise, start(0, 0)[0])
    assert not torch.equal(noise, start(1, 0)[0])
    assert not torch.equal(noise, start(0, 1)[0])
    assert noise.std() == pytest.approx(80, rel=0.01)
    assert label.bincount().tolist() == [CHUNK // 10] * 10


def test_pictures_are_kept_and_a_second_run_draws_none(tmp_path: Path) -> None:
    network = make_network(Size(patch=16, width=8, depth=1, heads=1, hidden=8), torch.Generator().manual_seed(0))
    said: list[str] = []
    shelf = Shelf(tmp_path, network.requires_grad_(False), CifarResnet(1).eval(), "none", said.append)
    method = methods(5)[0]
    first = shelf.described(method, 0, CHUNK)
    assert first.shape == (CHUNK, 64)
    assert len(said) == 1
    kept = next((tmp_path / method.folder).glob("none-*"))
    kept.unlink()
    assert torch.equal(shelf.described(method, 0, CHUNK), first)
    assert len(said) == 1  # features again, pictures not


def test_an_interval_is_students() -> None:
    found = interval("x", [1.0, 2.0, 3.0])
    assert found["x"] == 2.0
    assert found["high"] - 2.0 == pytest.approx(4.302653 / 3**0.5, rel=1e-6)
    assert found["low"] + found["high"] == pytest.approx(4.0)
    assert interval("x", [5.0]) == {"x": 5.0, "low": None, "high": None}


def test_a_folder_without_weights_is_refused_with_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "edm", "--data", str(tmp_path), "--work", str(tmp_path / "w"), "--json"]) == 3
    assert "no resnet20" in capsys.readouterr().err


@pytest.mark.slow
def test_the_short_bench_ends_with_one_document(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "edm", "--data", str(data), "--work", str(tmp_path), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= {"bench", "version", "device", "rows", "means", "differences", "targets"}
    assert {row["method"] for row in document["rows"]} >= {OPTIMAL, "EDM, Heun", "the test split"}
    assert all(row["frechet"] > 0 for row in document["rows"])
