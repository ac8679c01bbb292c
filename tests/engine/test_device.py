"""Devices, memory, seeds."""

import pytest
import torch

from sfumato.device import describe, deterministic, free_memory, peak_memory, pick_device, seeded
from sfumato.errors import RequestError

CPU = torch.device("cpu")


def test_auto_is_a_device_that_computes():
    device = pick_device("auto")
    assert (torch.ones(2, device=device) + 1).sum().item() == 4


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "", "CPU"])
def test_a_device_nobody_knows_is_refused_with_the_ones_there_are(name):
    with pytest.raises(RequestError) as refused:
        pick_device(name)
    assert "auto, cpu, cuda" in refused.value.hint


def test_cuda_by_name_is_never_replaced_in_silence():
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(RequestError, match="no CUDA device"):
        pick_device("cuda")


def test_a_description_names_the_chip_and_torch():
    text = describe(CPU)
    assert text.startswith("cpu: ")
    assert torch.__version__ in text


def test_memory_is_measured_in_bytes_and_a_big_tensor_shows():
    before = peak_memory(CPU)
    block = torch.ones(64, 2**20)  # 256 MiB
    assert peak_memory(CPU) >= before
    assert peak_memory(CPU) > 256 * 2**20
    assert 0 < free_memory(CPU) < 2**50
    del block


def test_the_same_seed_and_stream_draw_the_same_numbers_and_others_do_not():
    def draw(*stream):
        return torch.rand(8, generator=seeded(*stream))

    assert torch.equal(draw(7, "prior", 1001), draw(7, "prior", 1001))
    drawn = [draw(7), draw(8), draw(7, "prior"), draw(7, "prior", 1001), draw(7, "prior", 1002), draw(71, "", 1)]
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


def test_drawing_leaves_the_global_random_state_alone():
    before = torch.get_rng_state()
    torch.rand(4, generator=seeded(3))
    assert torch.equal(torch.get_rng_state(), before)


def test_determinism_ends_where_it_began_even_after_an_error():
    assert not torch.are_deterministic_algorithms_enabled()

    def fail_inside():
        with deterministic(CPU):
            assert torch.are_deterministic_algorithms_enabled()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_memory_counts_our_own_cache_as_free():
    device = pick_device("cuda")
    before = free_memory(device)
    block = torch.ones(64, 2**20, device=device)
    assert before - free_memory(device) >= 200 * 2**20
    del block
    assert before - free_memory(device) < 64 * 2**20
    assert peak_memory(device) >= 256 * 2**20
    assert describe(device).startswith("cuda: ")
