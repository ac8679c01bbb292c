"""`sfumato bench inversion`: one document on stdout, every target of the core decided."""

import json

import pytest

from sfumato_plugins.cli import main


def test_the_bench_prints_one_document_whose_exact_targets_are_met(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "inversion", "--quick", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) >= {"bench", "version", "device", "rows", "means", "targets"}
    met = {target["name"]: target["met"] for target in document["targets"]}
    assert met["trips not equal to the bit"]
    assert met["one-bit faults not caught"]
    assert met["calls besides one a step"]
    methods = {row["method"] for row in document["rows"]}
    assert {"DDIM", "EDICT", "O-BELM", "midpoint", "FireFlow-like", "BDIA auto, lattice"} <= methods
