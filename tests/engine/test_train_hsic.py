"""HSIC and its normalised form, as estimators."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sfumato.errors import RequestError
from sfumato.train.hsic import centred, dependence, gaussian, hsic, linear, nhsic, resolvent, traced


def drawn(seed, m=32, d=5):
    return torch.randn(m, d, generator=torch.Generator().manual_seed(seed))


def reference(x, y, sigma, epsilon):
    """Written out with matrices, float64."""
    found = []
    for side in (x, y):
        a = side.double().numpy()
        apart = ((a[:, None] - a[None]) ** 2).sum(-1) / a.shape[1]
        m = len(a)
        h = np.eye(m) - np.full((m, m), 1 / m)
        k = np.exp(-apart / (2 * sigma**2)) @ h
        found.append(k @ np.linalg.inv(k + epsilon * m * np.eye(m)))
    return np.trace(found[0] @ found[1])


@pytest.mark.parametrize(("m", "d", "classes"), [(64, 10, 3), (256, 784, 10), (100, 3, 2)])
def test_nhsic_is_that_of_a_float64_reference(m, d, classes):
    x = drawn(m, m, d)
    y = torch.nn.functional.one_hot(torch.arange(m) % classes, classes).float()
    found = float(nhsic(gaussian(x.double(), 5.0), gaussian(y.double(), 5.0)))
    assert found == pytest.approx(reference(x, y, 5.0, 1e-5), abs=1e-5)
    single = float(nhsic(gaussian(x, 5.0), gaussian(y, 5.0)))  # kernels in float32
    assert single == pytest.approx(reference(x, y, 5.0, 1e-5), rel=2e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(8, 40), st.integers(1, 6))
def test_hsic_is_its_trace_symmetric_and_blind_to_order(seed, m, d):
    x, y = drawn(seed, m, d).double(), drawn(seed + 1, m, d).double()
    k, other = gaussian(x, 2.0), linear(y)
    h = torch.eye(m, dtype=torch.float64) - 1 / m
    assert float(hsic(k, other)) == pytest.approx(float(torch.trace(k @ h @ other @ h)) / (m - 1) ** 2, abs=1e-12)
    assert float(hsic(k, other)) == pytest.approx(float(hsic(other, k)), abs=1e-12)
    assert float(hsic(k, other)) >= -1e-12
    order = torch.randperm(m, generator=torch.Generator().manual_seed(seed))
    assert float(nhsic(gaussian(x[order]), gaussian(y[order]))) == pytest.approx(
        float(nhsic(gaussian(x), gaussian(y))), rel=1e-6
    )


def test_what_tells_all_of_ten_classes_has_nine_and_what_tells_nothing_next_to_none():
    y = torch.nn.functional.one_hot(torch.arange(400) % 10, 10).double()
    told = gaussian(3 * y + 0.01 * drawn(1, 400, 10).double(), 1.0)
    assert 8.9 < float(nhsic(told, gaussian(y, 1.0), 1e-5)) <= 9
    nothing = hsic(gaussian(drawn(2, 400, 10).double()), gaussian(y))
    assert float(nothing) < 0.02 * float(hsic(told, gaussian(y)))


def test_dependence_is_near_one_for_a_thing_and_itself_and_falls_as_noise_rises():
    x = drawn(3, 500, 2)
    found = [dependence(x + noise * drawn(4, 500, 2), x, 1.0, 1e-3) for noise in (0.0, 0.1, 1.0, 100.0)]
    assert found[0] == pytest.approx(1, abs=1e-6)
    assert found == sorted(found, reverse=True)
    assert found[-1] < 0.4
    assert dependence(100 * x, x, 1.0, 1e-3) == pytest.approx(1, abs=1e-6)  # units do not matter


def test_several_widths_are_the_mean_of_their_kernels():
    x = drawn(5)
    assert torch.allclose(gaussian(x, (1.0, 5.0)), (gaussian(x, 1.0) + gaussian(x, 5.0)) / 2)


def test_a_resolvent_is_the_quotient_it_stands_for_and_its_gradient_is_right():
    k = gaussian(drawn(6, 12).double(), 1.0)
    c = centred(k)
    assert torch.allclose(resolvent(k, 1e-3), c @ torch.linalg.inv(c + 12e-3 * torch.eye(12, dtype=k.dtype)))
    aim = linear(drawn(7, 12).double())
    kernels = torch.stack([k, gaussian(drawn(8, 12).double(), 2.0)])
    whole = torch.stack([(resolvent(kernel, 1e-3) * aim).sum() for kernel in kernels])
    assert torch.allclose(traced(kernels, aim, 1e-3), whole)
    samples = drawn(9, 8, 3).double().requires_grad_()
    small = linear(drawn(7, 8).double())
    assert torch.autograd.gradcheck(lambda x: traced(gaussian(x, 1.0)[None], small, 1e-2), samples)


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: gaussian(drawn(1, 3)), "3 samples"),
        (lambda: gaussian(drawn(1), 0.0), "width 0.0"),
        (lambda: nhsic(gaussian(drawn(1) * float("nan")), gaussian(drawn(2))), "is not a kernel"),
        (lambda: dependence(drawn(1), drawn(2, 31)), "32 samples of one and 31 of the other"),
        (lambda: dependence(drawn(1), torch.ones(32, 2)), "never changes"),
        (lambda: dependence(drawn(1) / 0, drawn(2)), "numbers that are none"),
    ],
)
def test_what_cannot_be_told_is_refused_in_a_sentence(made, said):
    with pytest.raises(RequestError, match=said):
        made()
