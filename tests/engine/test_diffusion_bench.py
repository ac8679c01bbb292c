"""`sfumato bench inversion`: one document on stdout, with every bar of exact inversion in it as a target, and met."""

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

from sfumato_plugins.benches.inversion import as_text
from sfumato_plugins.cli import main

BARS = {  # what exact inversion is held to, and how much of it
    "trip in float32, gamma 1": "<= 2e-05",
    "trip in float32, gamma 0.96": "<= 5e-06",
    "order, gamma 1": ">= 1.95",
    "order, optimal gamma": ">= 1.95",
    "error over DDIM's against (1 - g) / (1 + g), gamma 0.5": "<= 0.15",
    "error over DDIM's against (1 - g) / (1 + g), gamma 0.9": "<= 0.15",
    "latent error, even log sigma, auto": "<= 0.005",
    "latent error, uniform time, auto": "<= 0.03",
    "sample error, even log sigma, optimal": "<= 0.0006",
    "trips not equal to the bit": "<= 0",
    "side bits an element, gamma 1.0, N 50": "<= 0",
    "side bits an element, gamma 0.96, N 50": "<= 6",
    "calls besides one a step": "<= 4",
    "one bit changed, not caught: in the latent pair": "<= 0",
    "one bit changed, not caught: in an answer: caught, or without effect": "<= 0",
    "one bit changed, not caught: in a record's file": "<= 0",
    "not refused: gamma below 10^(-1/(N-1))": "<= 0",
    "not refused: one latent without its neighbour": "<= 0",
    "not refused: a record of another model or machine": "<= 0",
}


@pytest.fixture(scope="module")
def printed() -> tuple[str, str]:
    """What a run writes to stdout and to stderr."""
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        assert main(["bench", "inversion", "--quick", "--json"]) == 0
    return out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def document(printed: tuple[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed[0])
    return found


def test_stdout_is_one_document_and_progress_goes_elsewhere(printed: tuple[str, str], document: dict[str, Any]) -> None:
    assert set(document) >= {"bench", "version", "device", "rows", "means", "targets"}
    assert "guided rows: " in printed[1]


def test_every_bar_is_a_target_and_is_met(document: dict[str, Any]) -> None:
    targets = {target["name"]: target for target in document["targets"]}
    assert {name: targets[name]["bound"] for name in BARS} == BARS
    assert [name for name in BARS if not targets[name]["met"]] == []


def test_every_peer_is_asked_the_same_questions_and_its_calls_are_counted(document: dict[str, Any]) -> None:
    calls = {(row["case"], row["method"]): row.get("calls") for row in document["rows"]}
    vp, flow, guided = "VP, even log sigma, N 50", "flow, even logit, N 28", "guidance 3, even log sigma, N 50"
    assert [calls[vp, name] for name in ("DDIM", "EDICT", "O-BELM", "BDIA 1.0")] == [50, 100, 50, 53]
    assert calls[vp, "DDIM, 5 fixed-point rounds"] == 300
    assert [calls[flow, name] for name in ("Euler", "midpoint", "FireFlow-like", "BDIA 1.0")] == [28, 56, 29, 31]
    null_text = next(row for row in document["rows"] if row["method"].startswith("null-text"))
    assert (null_text["case"], null_text["calls"]) == (guided, 150 + null_text["gradients"])
    exact = next(r for r in document["rows"] if r["case"] == guided and r["method"] == "BDIA auto, lattice")
    assert (exact["trip"], exact["trip_f32"]) == (0, 0)
    assert 0 < null_text["trip"] < 0.01


def test_people_get_every_case_as_a_table_and_the_targets_last(document: dict[str, Any]) -> None:
    text = as_text(document)
    assert all(text.count(f"{case}\n") for case in {row["case"] for row in document["rows"]})
    assert "trip in float32, gamma 1 " in text.rsplit("\n\n", 2)[1]
