"""The bench of the process boundary measures every case the product promises something about."""

import json

import pytest


def test_the_bench_prints_one_document_with_every_failure_in_a_sentence(command_line, tmp_path):
    pytest.importorskip("torch", reason="the engine is not installed here")
    done = command_line("bench", "host", "--quick", "--json", cwd=tmp_path, env={"XDG_STATE_HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["bench"] == "host"
    failures = [row for row in document["rows"] if row["case"].startswith("failure: ")]
    assert len(failures) == 10
    assert all(row["said"] and row["logged"] for row in failures)
    kinds = {row["case"][len("failure: ") :]: row["kind"] for row in failures}
    assert kinds == {
        "segfault": "engine",
        "killed": "engine",
        "out of memory": "memory",
        "exception": "internal",
        "bad JSON": "engine",
        "disk full": "request",
        "no GPU": "request",
        "wrong Python": "engine",
        "missing module": "engine",
        "timeout": "timeout",
    }
    assert {"name", "value", "bound", "met"} == set(document["targets"][0])
    assert len(document["targets"]) == 21
