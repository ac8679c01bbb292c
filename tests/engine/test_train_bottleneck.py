"""Layers trained one by one."""

import multiprocessing as mp

import pytest
import torch
from torch.nn.functional import one_hot

from sfumato.errors import RequestError
from sfumato.train.bodies import convolved, dense
from sfumato.train.bottleneck import Bottleneck, detached, layers_step
from sfumato.train.readout import assigned, by_mean, by_unit, class_means, format_layer, run
from sfumato.train.sigma_network import SigmaNetwork


def batch(seed=0, m=48, d=20, classes=4):
    """Clusters, and which is which."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.arange(m) % classes
    centres = torch.randn(classes, d, generator=torch.Generator().manual_seed(99))
    return centres[which] + 0.3 * torch.randn(m, d, generator=generator), which


def answers(which, classes=4):
    return one_hot(which, classes).float()


@pytest.mark.parametrize("body", ["dense", "convolved"])
def test_the_step_with_detached_inputs_is_that_of_the_whole_graph(body):
    inputs, which = batch(d=48)
    if body == "convolved":
        inputs = inputs.view(-1, 3, 4, 4)
    layers = dense(48, 16, 3, 4) if body == "dense" else convolved(3, 8, (True, False))
    objective = Bottleneck(epsilon=1e-3)
    aim = objective.aim(inputs, answers(which))
    objective.losses(detached(layers, inputs), aim).sum().backward()
    found = [[weight.grad.clone() for weight in layer.parameters()] for layer in layers]
    states = [inputs]
    for layer in layers:
        states.append(layer(states[-1]))  # its graph goes through all before it
    for number, layer in enumerate(layers):
        loss = objective.losses(states[number + 1 : number + 2], aim)
        whole = torch.autograd.grad(loss.sum(), list(layer.parameters()), retain_graph=True)
        for one, other in zip(found[number], whole, strict=True):
            assert torch.allclose(one, other, rtol=1e-6, atol=1e-6 * float(other.abs().max()))


def test_no_layer_gets_a_gradient_from_another():
    inputs, which = batch()
    layers = dense(20, 16, 3, 4)
    objective = Bottleneck(epsilon=1e-3)
    losses = objective.losses(detached(layers, inputs), objective.aim(inputs, answers(which)))
    for number in range(4):
        weights = [weight for n, layer in enumerate(layers) if n != number for weight in layer.parameters()]
        found = torch.autograd.grad(losses[number], weights, retain_graph=True, allow_unused=True)
        assert all(slope is None or not slope.any() for slope in found)


def trained(steps=40, beta=100.0):
    layers = dense(20, 32, 2, 4, seed=3)
    optimiser = torch.optim.SGD([w for layer in layers for w in layer.parameters()], 1e-2, 0.9)
    objective = Bottleneck(beta=beta, epsilon=1e-3)
    seen = []
    for step in range(steps):
        inputs, which = batch(step)
        seen.append(layers_step(layers, inputs, answers(which), objective, optimiser))
    return layers, seen


def test_training_lowers_every_layers_objective_and_all_three_read_outs_tell_the_classes():
    layers, seen = trained()
    assert (seen[-1] < seen[0]).all()
    inputs, which = batch(1000, 400)
    told = run(layers, inputs)
    unseen, other = batch(2000, 400)
    found = run(layers, unseen)
    units = assigned(told, which)
    assert sorted(units.tolist()) == [0, 1, 2, 3]  # no two classes on one unit
    assert (by_unit(found, units) == other).float().mean() > 0.95
    assert (by_mean(found, class_means(told, which)) == other).float().mean() > 0.95
    line = format_layer(run(layers[:-1], inputs), which, epochs=20)
    assert (line(run(layers[:-1], unseen)).argmax(-1) == other).float().mean() > 0.95


def test_the_same_seed_trains_the_same_network_and_running_it_leaves_its_mode():
    (one, _), (other, _) = trained(5), trained(5)
    for a, b in zip(one, other, strict=True):
        assert a.training
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))
    run(one, batch()[0])
    assert all(layer.training for layer in one)


def test_bodies_of_several_widths_answer_together_and_each_learns_by_its_own():
    def make(seed):
        return dense(20, 24, 2, seed=seed)

    network = SigmaNetwork(make, (1.0, 5.0), Bottleneck(beta=100.0, epsilon=1e-3), lambda w: torch.optim.SGD(w, 1e-2))
    alone = dense(20, 24, 2, seed=1)
    optimiser = torch.optim.SGD([weight for layer in alone for weight in layer.parameters()], 1e-2)
    for step in range(20):
        inputs, which = batch(step)
        losses = network.step(inputs, answers(which))
        layers_step(alone, inputs, answers(which), Bottleneck(5.0, 100.0, 1e-3), optimiser)
    assert losses.shape == (2, 2)
    inputs, which = batch(1000, 400)
    assert torch.equal(run(network.bodies[1], inputs), run(alone, inputs))
    told = network.answer(inputs)
    assert torch.allclose(told, (run(network.bodies[0], inputs) + run(alone, inputs)) / 2)
    unseen, other = batch(2000, 400)
    line = format_layer(told, which, epochs=20)
    assert (line(network.answer(unseen)).argmax(-1) == other).float().mean() > 0.95
    with pytest.raises(RequestError, match="no kernel width"):
        SigmaNetwork(make, (), Bottleneck(), lambda w: torch.optim.SGD(w, 1e-2))


def _half(first, given, aim, out):
    """Layers 0 and 1, or 2 and 3, of one network, in a process of their own: they pass states on, and nothing back."""
    torch.set_num_threads(1)
    layers = dense(20, 16, 3, 4, seed=5)
    mine = layers[:2] if first else layers[2:]
    optimiser = torch.optim.SGD([weight for layer in mine for weight in layer.parameters()], 1e-2, 0.9)
    for _ in range(3):
        inputs = torch.from_numpy(given.recv())
        states = detached(mine, inputs)
        if first:
            out.send(states[-1].detach().numpy())
        loss = Bottleneck(epsilon=1e-3).losses(states, torch.from_numpy(aim))
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    out.send([weight.detach().numpy() for layer in mine for weight in layer.parameters()])


def test_layers_in_two_processes_get_the_same_update():
    torch.set_num_threads(1)
    inputs, which = batch()
    layers = dense(20, 16, 3, 4, seed=5)
    objective = Bottleneck(epsilon=1e-3)
    optimiser = torch.optim.SGD([weight for layer in layers for weight in layer.parameters()], 1e-2, 0.9)
    for _ in range(3):
        layers_step(layers, inputs, answers(which), objective, optimiser)
    aim = objective.aim(inputs, answers(which)).numpy()
    context = mp.get_context("spawn")
    (to_first, first_in), (out, first_out), (last_out, last_in) = (context.Pipe() for _ in range(3))
    (to_last, last_given) = context.Pipe()
    one = context.Process(target=_half, args=(True, first_in, aim, first_out))
    two = context.Process(target=_half, args=(False, last_given, aim, last_in))
    one.start(), two.start()
    for _ in range(3):
        to_first.send(inputs.numpy())
        to_last.send(out.recv())
    found = [torch.from_numpy(weight) for weight in [*out.recv(), *last_out.recv()]]
    one.join(60), two.join(60)
    assert (one.exitcode, two.exitcode) == (0, 0)
    kept = [weight.detach() for layer in layers for weight in layer.parameters()]
    assert all(torch.allclose(a, b, rtol=1e-6, atol=1e-7) for a, b in zip(found, kept, strict=True))


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: Bottleneck().aim(batch()[0], torch.ones(48, 4)), "same answer"),
        (lambda: Bottleneck().aim(batch(m=3)[0], answers(torch.arange(3))), "3 samples"),
        (lambda: assigned(torch.rand(9, 2), torch.arange(9) % 3), "2 units for 3 classes"),
        (lambda: class_means(torch.rand(4, 2), torch.tensor([0, 0, 2, 2])), "no sample of class 1"),
    ],
)
def test_what_cannot_be_trained_or_read_is_refused_in_a_sentence(made, said):
    with pytest.raises(RequestError, match=said):
        made()
