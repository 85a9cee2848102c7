"""Test the training as CUDA graphs, on a GPU if there is one, and otherwise with a stand-in for CUDA's graphs.

The stand-in records the operations of a capture and repeats them on the same memory, as a graph does. A capture
computes nothing that lasts, so it also puts back what the operations changed.
"""

import contextlib
import dataclasses

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from asdlib import cuda_graphs, training
from asdlib.compute import Compute

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Recorder(TorchDispatchMode):
    """Keep all operations with their arguments and results, and what their arguments were before."""

    def __init__(self):
        super().__init__()
        self.operations, self.before, self.made = [], {}, set()

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        options = options or {}
        for value in tree_leaves((arguments, options)):
            if isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() not in self.made:
                self.before.setdefault(id(value), (value, value.detach().clone()))
        result = operation(*arguments, **options)
        changed = {value.untyped_storage().data_ptr() for value, _ in self.before.values()}
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() not in changed:
                self.made.add(value.untyped_storage().data_ptr())
        self.operations.append((operation, arguments, options, result))
        return result


class Graph:
    """Stand-in for ``torch.cuda.CUDAGraph``."""

    def replay(self):
        with torch.no_grad():
            for operation, arguments, options, result in self.operations:
                found = operation(*arguments, **options)
                for mine, new in zip(tree_leaves(result), tree_leaves(found), strict=True):
                    if isinstance(mine, torch.Tensor) and mine.data_ptr() != new.data_ptr():
                        mine.copy_(new)


@contextlib.contextmanager
def capture(graph, pool, stream):
    """Stand-in for ``torch.cuda.graph``."""
    state, recorder = torch.get_rng_state(), Recorder()
    with recorder:
        yield
    torch.set_rng_state(state)
    with torch.no_grad():
        for value, before in recorder.before.values():
            value.copy_(before)
    graph.operations = recorder.operations


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    if DEVICE.type == "cpu":
        monkeypatch.setattr(torch.cuda, "graph_pool_handle", lambda: None)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
        monkeypatch.setattr(torch.cuda, "graph", capture)


class Network(nn.Module):
    """A network with what trainings have: dropout, batch norm, a buffer that is replaced, and an unused parameter."""

    def __init__(self):
        super().__init__()
        self.inward, self.norm, self.outward = nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Linear(8, 1)
        self.dropout, self.unused = nn.Dropout(0.3), nn.Parameter(torch.zeros(2))
        self.register_buffer("centre", torch.zeros(8))

    def losses(self, values, weight):
        hidden = self.norm(self.inward(self.dropout(values)).flatten(0, 1))
        near = (hidden - self.centre).square().mean()
        error = self.outward(hidden).square().mean()
        self.centre = 0.9 * self.centre + 0.1 * hidden.detach().mean(0)
        loss = near + (error if weight is None else error * weight.mean())
        return {"loss": loss, "near": near}


def draw(step, generator):
    length = int(torch.randint(2, 6, (), generator=generator))
    weight = None if step % 3 else torch.rand(4, generator=generator).to(DEVICE)
    return torch.randn(4, length, 3, generator=generator).to(DEVICE), weight


def trained(tmp_path, compute, steps=30):
    """Return the history and the state after a training."""
    torch.manual_seed(0)
    network = Network().to(DEVICE)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    history, _ = training.train(
        network,
        training.Loss(draw, network.losses),
        optimizer,
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        steps=steps,
        seed=0,
        compute=compute,
        checkpoint=tmp_path / f"{compute.eager}.pt",
        settings={},
    )
    return history, network


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_graphs_change_no_bit(tmp_path, monkeypatch, precision):
    compute = Compute(DEVICE, precision, 1, eager=True)
    history, network = trained(tmp_path, compute)
    monkeypatch.setattr(Compute, "graphs", property(lambda compute: not compute.eager))
    captures, capture_one = [], cuda_graphs.Graphs._capture
    monkeypatch.setattr(
        cuda_graphs.Graphs,
        "_capture",
        lambda graphs, batch: captures.append(batch[0].shape) or capture_one(graphs, batch),
    )
    found, graphed = trained(tmp_path, dataclasses.replace(compute, eager=False))
    assert found.equals(history)
    for (name, value), other in zip(network.state_dict().items(), graphed.state_dict().values(), strict=True):
        assert torch.equal(value, other), name
    assert not torch.equal(network.centre, torch.zeros_like(network.centre)) and graphed.unused.grad is None
    assert 5 < len(captures) <= 8  # four lengths, each with and without a weight


def test_inputs_share_memory():
    graphs = cuda_graphs.Graphs(nn.Linear(1, 1).to(DEVICE), dict, Compute(DEVICE, "float32", 1))
    first, second, third = (graphs._input(0, torch.empty(*shape, device=DEVICE)) for shape in ((3, 4), (2, 5), (4, 4)))
    assert first.data_ptr() == second.data_ptr() != third.data_ptr() and second.shape == (2, 5)
    assert graphs._input(1, torch.empty(2, device=DEVICE)).data_ptr() != third.data_ptr()
