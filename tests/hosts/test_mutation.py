"""Fifty mistakes made on purpose in copies of our host code: the static walk or a run on the fakes finds each of them.

python -m pytest -s tests/hosts/test_mutation.py            says which net caught which
python -m pytest -s -m slow tests/hosts/test_mutation.py    every site there is, by the walk alone
"""

import ast
import collections
import os
import pathlib
import random
import shutil
import subprocess
import sys

import pytest
from fakes.mutate import KINDS, Sites, sample, spoil
from fakes.walk import Walk

ROOT = pathlib.Path(__file__).resolve().parents[2]
COUNT, SEED = 50, 20260727
DAYS = {"nuke": ("node", "inputs", "day"), "maya": ("apply", "panels", "day")}  # quick ones first: -x stops there


@pytest.fixture(scope="module")
def trees():
    paths = sorted(path for host in DAYS for path in (ROOT / host).rglob("*.py"))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


@pytest.fixture(scope="module")
def sites(trees):
    finder = Sites()
    found = [site for path, tree in trees.items() for site in finder.of(tree, path)]
    counts = collections.Counter((site.path.partition("/")[0], site.kind) for site in found)
    print("\nsites:", ", ".join(f"{host} {kind} {count}" for (host, kind), count in sorted(counts.items())))
    return found


def caught_by_walk(walk, trees, site, chance):
    """(what was done, what the walk says that it did not say before, the spoilt text)."""
    taken = set(walk.methods) | walk.words
    before = set(walk.problems(ast.unparse(trees[site.path]), site.path))
    done, undo = spoil(site, chance, taken)
    text = ast.unparse(trees[site.path])
    undo()
    return done, sorted(set(walk.problems(text, site.path)) - before), text


def caught_by_run(tmp_path, site, text):
    """Whether the host's scripted days fail on the fakes with this text in the file's place."""
    host, copy = site.path.partition("/")[0], tmp_path / f"{pathlib.Path(site.path).stem}-{site.line}"
    for folder in (host, "tests/hosts", "tests/golden"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for kept in ("plugins", "engine", "pyproject.toml", "tests/conftest.py"):
        (copy / kept).symlink_to(ROOT / kept)
    (copy / site.path).write_text(text, encoding="utf-8")
    words = [sys.executable, "-c", "import sys, pytest; sys.path.remove(''); sys.exit(pytest.main())"]
    files = [str(copy / "tests" / "hosts" / f"test_{host}_{name}.py") for name in DAYS[host]]
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    words += ["-x", "-q", "-p", "no:cacheprovider", *files]
    done = subprocess.run(words, capture_output=True, text=True, cwd=copy, env=environ, check=False)
    return done.returncode == 1


def test_fifty_mistakes_of_fifty_are_caught(trees, sites, tmp_path):
    walk, chance, nets, missed = Walk(), random.Random(SEED), collections.Counter(), []
    chosen = sample(sites, COUNT, SEED)
    for site in chosen:
        done, problems, text = caught_by_walk(walk, trees, site, chance)
        net = "walk" if problems else "run" if caught_by_run(tmp_path, site, text) else "nothing"
        nets[net] += 1
        print(f"{net:7} {site.kind:5} {site.path}:{site.line}  {done}")
        if net == "nothing":
            missed.append(f"{site.path}:{site.line} {done}")
    print(f"{len(chosen)} mistakes: {dict(nets)}")
    assert len(chosen) == COUNT
    assert {site.kind for site in chosen} == set(KINDS)
    assert {site.path.partition("/")[0] for site in chosen} == set(DAYS)
    assert not missed


@pytest.mark.slow
def test_every_mistake_there_is_room_for_is_caught_by_the_walk(trees, sites):
    walk, chance, missed = Walk(), random.Random(SEED), []
    for site in sites:
        done, problems, _ = caught_by_walk(walk, trees, site, chance)
        if not problems:
            missed.append(f"{site.path}:{site.line} {done}")
    print(f"{len(sites) - len(missed)} of {len(sites)} caught by the walk alone")
    print("\n".join(missed))
    assert len(missed) <= len(sites) // 50


@pytest.mark.slow
def test_running_the_days_catches_most_mistakes_without_the_walk(trees, sites, tmp_path):
    """The second net on its own; what it lets through are lines that no scripted day runs, hence the first."""
    walk, chance, caught = Walk(), random.Random(SEED), []
    chosen = sample(sites, 12, SEED + 1)
    for host in DAYS:
        whole = next(site for site in chosen if site.path.startswith(host))
        unspoilt = (ROOT / whole.path).read_text(encoding="utf-8")
        assert not caught_by_run(tmp_path / "whole", whole, unspoilt), f"{host}: the days fail without any mistake"
    for site in chosen:
        done, _, text = caught_by_walk(walk, trees, site, chance)
        caught.append(caught_by_run(tmp_path, site, text))
        print(f"{'run' if caught[-1] else 'nothing':7} {site.kind:5} {site.path}:{site.line}  {done}", flush=True)
    print(f"{sum(caught)} of {len(chosen)} caught by runs alone")
    assert sum(caught) >= len(chosen) // 2
