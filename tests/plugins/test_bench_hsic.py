"""The bench of layers trained one by one: what it reads, and what it prints of a few pictures."""

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from sfumato.errors import InputError
from sfumato.train.bodies import dense
from sfumato.train.bottleneck import Bottleneck
from sfumato.train.readout import run
from sfumato_plugins.benches.hsic_data import load
from sfumato_plugins.benches.hsic_ways import backward_step, hsic_step, local_step, right, trained, weights_of

PARTS = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")


def written(folder, name="mnist", count=300):
    """Digits that are a bright row each, in the files of the real set."""
    (folder / name).mkdir()
    classes = np.arange(count, dtype=np.uint8) % 10
    pictures = np.random.default_rng(0).integers(0, 60, (count, 28, 28), dtype=np.uint8)
    pictures[np.arange(count), 2 * classes + 3] += 150
    for part, values in zip(PARTS, (pictures, classes, pictures[:50], classes[:50]), strict=True):
        head = bytes((0, 0, 8, values.ndim)) + b"".join(n.to_bytes(4, "big") for n in values.shape)
        (folder / name / f"{part}-ubyte.gz").write_bytes(gzip.compress(head + values.tobytes()))
    return pictures, classes


def test_idx_files_come_back_as_what_was_written(tmp_path):
    pictures, classes = written(tmp_path)
    found = load(tmp_path, "mnist")
    assert torch.equal(found.inputs[:, 0] * 255, torch.from_numpy(pictures).float())
    assert torch.equal(found.classes, torch.from_numpy(classes).long())
    assert len(found.test_inputs) == 50
    assert load(tmp_path, "fashion") is None


@pytest.mark.parametrize("damage", ["cut", "other", "gone"])
def test_a_damaged_set_is_named(tmp_path, damage):
    written(tmp_path)
    path = tmp_path / "mnist" / "train-images-idx3-ubyte.gz"
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut" else gzip.compress(b"\0\0\x0d\1" + bytes(8)))
    with pytest.raises(InputError, match="does not hold mnist"):
        load(tmp_path, "mnist")


@pytest.mark.parametrize("way", ["hsic", "back-propagation", "local heads"])
def test_every_way_of_training_learns_bright_rows(tmp_path, way):
    written(tmp_path, count=1024)
    pictures = load(tmp_path, "mnist")
    layers = dense(784, 32, 2, seed=1)
    heads = [torch.nn.Linear(32, 10) for _ in layers]
    if way == "hsic":
        step, weights = hsic_step(layers, Bottleneck(beta=100.0, epsilon=1e-3), 10), weights_of(layers)
    elif way == "local heads":
        step, weights = local_step(layers, heads), weights_of([*layers, *heads])
    else:
        step, weights = backward_step([*layers, heads[-1]]), weights_of([*layers, heads[-1]])
    before = [weight.detach().clone() for weight in weights]
    trained(layers, step, weights, pictures.inputs, pictures.classes, 10, 1e-2, 0)
    assert all(not torch.equal(a, b) for a, b in zip(before[::2], weights[::2], strict=True))
    if way == "hsic":
        from sfumato.train.readout import format_layer

        heads[-1] = format_layer(run(layers, pictures.inputs), pictures.classes, epochs=20)
    assert right(run([*layers, heads[-1]], pictures.test_inputs).argmax(-1), pictures.test_classes) > 90


@pytest.mark.slow
def test_the_bench_prints_one_document_and_names_what_is_missing(tmp_path):
    written(tmp_path, count=600)
    command = [sys.executable, "-m", "sfumato_plugins.cli", "bench", "hsic", "--data", str(tmp_path), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["bench"] == "hsic"
    assert document["settings"]["missing"] == ["fashion", "cifar10"]
    assert {row["case"] for row in document["rows"]} >= {"mnist", "depth", "cost", "claim"}
    assert len(document["targets"]) >= 5


def test_a_folder_without_any_set_is_refused(tmp_path):
    from sfumato_plugins.benches import hsic

    with pytest.raises(InputError, match="holds none of mnist, fashion, cifar10"):
        hsic.run(tmp_path)
