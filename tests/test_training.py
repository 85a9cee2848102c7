"""Test the training loop: what it learns, and that an interrupted training equals the uninterrupted one bit for bit."""

import dataclasses
import importlib.util
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from asdlib import batch_norm, checkpoints, compute, params, training
from asdlib.compute import Compute, resolve_compute
from asdlib.errors import ModelError
from asdlib.seeds import derive

CPU = Compute(torch.device("cpu"), "float32", 1)
STEPS = 12
SETTINGS = {"learning_rate": 0.01, "steps": STEPS}


COMPILED = dataclasses.replace(CPU, compile=True)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    torch.set_num_threads(1)


class Task:
    """Create a small network with all that makes resuming hard: dropout, batch norm, Adam, schedule, random batches."""

    def __init__(self, schedule: str = "constant", seed: int = 7):
        torch.manual_seed(1)
        self.seed = seed
        self.module = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
        self.optimizer = torch.optim.Adam(self.module.parameters(), lr=0.01, fused=True)
        if schedule == "constant":
            self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 1.0)
        else:
            self.scheduler = torch.optim.lr_scheduler.OneCycleLR(self.optimizer, 0.05, total_steps=STEPS)
        self.die_at = None
        self.epochs = training.Epochs(20, 8, seed)

    def loss(self, step, generator):
        if step == self.die_at:
            raise KeyboardInterrupt
        x = torch.randn(8, 4, generator=generator) * (1 + self.epochs.batch(step).float().mean())
        y = x.sum(1, keepdim=True)
        error = (self.module(x) - y).square().mean()
        return {"loss": error, "half": error / 2}

    def train(self, checkpoint, settings=SETTINGS, compute=CPU, checkpoint_seconds=1e9, **more):
        """Train and return the history."""
        history, self.earlier = training.train(
            self.module,
            self.loss,
            self.optimizer,
            self.scheduler,
            steps=STEPS,
            seed=self.seed,
            checkpoint=checkpoint,
            settings=settings,
            compute=dataclasses.replace(compute, checkpoint_seconds=checkpoint_seconds),
            **more,
        )
        return history


def equal(one: nn.Module, other: nn.Module) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("c++"), reason="PyTorch's compiler wants one of C++")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of PyTorch's compiler
def test_compiled_training_learns_the_same_and_can_be_interrupted(tmp_path):
    """Leave out dropout, for which the compiler draws other numbers, where losses are compared."""

    def task(rate):
        made = Task("one cycle")
        made.module[3] = nn.Dropout(rate)
        return made

    plain, compiled, whole, broken, again = task(0), task(0), task(0.5), task(0.5), task(0.5)
    history = plain.train(tmp_path / "plain.pt")
    np.testing.assert_allclose(compiled.train(tmp_path / "compiled.pt", compute=COMPILED), history, rtol=1e-4)
    shapes = [{name: value.shape for name, value in each.module.state_dict().items()} for each in (plain, compiled)]
    assert shapes[0] == shapes[1]
    assert not task(0.5).train(tmp_path / "drawn.pt").equals(task(0.5).train(tmp_path / "other.pt", compute=COMPILED))

    history = whole.train(tmp_path / "whole.pt", compute=COMPILED)
    broken.die_at = 5
    with pytest.raises(KeyboardInterrupt):
        broken.train(tmp_path / "broken.pt", compute=COMPILED, checkpoint_seconds=0)
    pd.testing.assert_frame_equal(again.train(tmp_path / "broken.pt", compute=COMPILED), history)
    assert equal(again.module, whole.module)
    assert COMPILED.describe() == f"{CPU.describe()}, compiled"


@pytest.mark.parametrize("schedule", ["constant", "one cycle"])
@pytest.mark.parametrize("die_at", [1, 5, STEPS - 1])
def test_interrupted_equals_uninterrupted(tmp_path, schedule, die_at):
    whole = Task(schedule)
    history = whole.train(tmp_path / "whole.pt")
    checkpoint = tmp_path / "broken.pt"
    broken = Task(schedule)
    broken.die_at = die_at
    with pytest.raises(KeyboardInterrupt):
        broken.train(checkpoint, checkpoint_seconds=0)
    assert checkpoint.is_file()
    resumed = Task(schedule)
    torch.manual_seed(999)  # the state of the process must not matter
    pd.testing.assert_frame_equal(resumed.train(checkpoint), history, check_exact=True)
    assert equal(resumed.module, whole.module)
    assert resumed.earlier > 0 == whole.earlier
    assert not checkpoint.exists()


def test_what_has_ended_is_not_trained_again(tmp_path, monkeypatch, capsys):
    whole, checkpoint = Task(), tmp_path / "whole.pt"
    history = whole.train(checkpoint)
    assert list(tmp_path.iterdir()) == [checkpoints.finished_path(checkpoint)]
    again = Task()
    again.die_at = 0
    pd.testing.assert_frame_equal(again.train(checkpoint), history, check_exact=True)
    assert equal(again.module, whole.module)
    assert f"resuming from step {STEPS} of {STEPS}" in capsys.readouterr().out

    monkeypatch.setattr(checkpoints, "code", lambda: "other code")
    with pytest.raises(KeyboardInterrupt):
        again.train(checkpoint)


_SCRIPT = """
import sys, time, pathlib, torch
sys.path.insert(0, sys.argv[1])
from test_training import Task
torch.set_num_threads(1)
task = Task()
loss = task.loss
def slow(step, generator):
    print(step, flush=True)
    time.sleep(0.05)
    return loss(step, generator)
task.loss = slow
task.train(pathlib.Path(sys.argv[2]), checkpoint_seconds=0)
"""


@pytest.mark.slow
def test_kill_9_equals_uninterrupted(tmp_path, root):
    whole = Task()
    history = whole.train(tmp_path / "whole.pt")
    checkpoint = tmp_path / "killed.pt"
    command = [sys.executable, "-c", _SCRIPT, str(root / "tests"), str(checkpoint)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as job:
        for line in job.stdout:
            if line.strip() == "6":
                time.sleep(0.02)
                job.send_signal(signal.SIGKILL)
                break
        job.stdout.read()
    assert job.returncode == -signal.SIGKILL
    step = torch.load(checkpoint, weights_only=True)["step"]
    assert 0 < step < STEPS
    resumed = Task()
    pd.testing.assert_frame_equal(resumed.train(checkpoint), history, check_exact=True)
    assert equal(resumed.module, whole.module)


def test_the_seed_decides(tmp_path):
    first, same, other = Task(), Task(), Task(seed=8)
    for name, task in (("first", first), ("same", same), ("other", other)):
        task.train(tmp_path / f"{name}.pt")
    assert equal(first.module, same.module)
    assert not equal(first.module, other.module)


def test_it_learns_the_least_squares_solution(tmp_path):
    x = torch.randn(50, 3, generator=training.generator(0), dtype=torch.float64)
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + torch.randn(
        50, 1, generator=training.generator(1), dtype=torch.float64
    )
    module = nn.Linear(3, 1, bias=False).double()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.2)
    history, _ = training.train(
        module,
        lambda step, generator: {"loss": (module(x) - y).square().mean()},
        optimizer,
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        steps=200,
        seed=0,
        compute=CPU,
        checkpoint=tmp_path / "none.pt",
        settings={},
    )
    expected = np.linalg.lstsq(x.numpy(), y.numpy(), rcond=None)[0]
    np.testing.assert_allclose(module.weight.detach().numpy().T, expected, atol=1e-6)
    assert list(history.columns) == ["step", "loss", "learning_rate"]
    assert history["step"].tolist() == list(range(1, 201))
    assert (history["learning_rate"] == 0.2).all()


def test_the_history_names_all_losses_and_the_rate_of_each_step(tmp_path):
    history = Task("one cycle").train(tmp_path / "none.pt")
    assert list(history.columns) == ["step", "loss", "half", "learning_rate"]
    np.testing.assert_allclose(history["half"], history["loss"] / 2, rtol=1e-6)
    expected = Task("one cycle")
    rates = []
    for _ in range(STEPS):
        rates.append(expected.scheduler.get_last_lr()[0])
        expected.optimizer.step()
        expected.scheduler.step()
    assert history["learning_rate"].tolist() == rates


def test_no_steps_are_no_change(tmp_path):
    task, untouched = Task(), Task()
    optimizer = task.optimizer
    history, earlier = training.train(
        task.module, task.loss, optimizer, task.scheduler,
        steps=0, seed=0, compute=CPU, checkpoint=tmp_path / "none.pt", settings={},
    )  # fmt: skip
    assert len(history) == 0 and "loss" in history and earlier == 0
    assert equal(task.module, untouched.module)


def test_progress_is_one_plain_line(tmp_path, capsys):
    Task().train(tmp_path / "none.pt")
    out = capsys.readouterr().out
    assert out.startswith(f"step {STEPS}/{STEPS}  loss ") and out.count("\n") == 1 and "\r" not in out


def stopped(tmp_path):
    checkpoint = tmp_path / "stopped.pt"
    task = Task()
    task.die_at = 3
    with pytest.raises(KeyboardInterrupt):
        task.train(checkpoint, checkpoint_seconds=0)
    return checkpoint


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    checkpoint = stopped(tmp_path)
    with pytest.raises(ModelError, match=r"stopped\.pt: the checkpoint belongs to other settings; delete it"):
        Task().train(checkpoint, settings={**SETTINGS, "learning_rate": 0.02})
    assert checkpoint.is_file()


class Malicious:
    def __reduce__(self):
        return os.mkdir, ("hacked",)


@pytest.mark.parametrize("content", [b"", b"nonsense", None, pickle.dumps(Malicious())])
def test_a_broken_or_malicious_checkpoint_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    checkpoint = stopped(tmp_path)
    checkpoint.write_bytes(checkpoint.read_bytes()[:2000] if content is None else content)
    with pytest.raises(ModelError, match=r"stopped\.pt: cannot be read as a checkpoint .*delete it"):
        Task().train(checkpoint)
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_diverging_loss_names_the_step_and_keeps_the_checkpoint(tmp_path, value):
    task, checkpoint = Task(), tmp_path / "diverging.pt"
    loss = task.loss

    def diverging(step, generator):
        losses = loss(step, generator)
        return {name: part + value for name, part in losses.items()} if step == 4 else losses

    task.loss = diverging
    with pytest.raises(ModelError, match=r"training diverged: loss is (nan|inf) at step 5; lower the learning rate"):
        task.train(checkpoint, checkpoint_seconds=0)
    state = torch.load(checkpoint, weights_only=True)
    assert state["step"] == 4
    assert all(torch.isfinite(tensor).all() for tensor in state["module"].values())


@given(st.integers(1, 60), st.integers(1, 16), st.integers(0, 5))
def test_epochs_show_every_index_once(count, batch_size, seed):
    epochs = training.Epochs(count, batch_size, seed)
    batches = [epochs.batch(step) for step in range(2 * epochs.steps)]
    for epoch in (batches[: epochs.steps], batches[epochs.steps :]):
        assert torch.cat(epoch).sort().values.tolist() == list(range(count))
        sizes = [len(batch) for batch in epoch]
        assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    other = training.Epochs(count, batch_size, seed)
    for step in reversed(range(2 * epochs.steps)):  # whatever came before
        assert torch.equal(other.batch(step), batches[step])


def test_epochs_differ_in_order():
    epochs = training.Epochs(1000, 1000, 0)
    assert not torch.equal(epochs.batch(0), epochs.batch(1))
    assert not torch.equal(epochs.batch(0), training.Epochs(1000, 1000, 1).batch(0))


def test_derived_seeds_differ_and_keep():
    keys = [(), ("fan",), ("fan", 1), ("fan", 2), ("fa", "n"), ("pump", 1), (1, "fan")]
    seeds = [derive(seed, *key) for seed in (0, 1) for key in keys]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive(0, "fan", 1) == 4031028098424910528  # kept: other numbers would change every run
    assert torch.equal(
        torch.rand(3, generator=training.generator(0, "fan")), torch.rand(3, generator=training.generator(0, "fan"))
    )


def settings(**more):
    return SimpleNamespace(
        **{"device": "cpu", "precision": "auto", "threads": 1, "compile": False, "checkpoint_seconds": 60, **more}
    )


def test_compute():
    compute = resolve_compute(settings())
    assert compute.device.type == "cpu" and compute.precision in ("float32", "bfloat16") and compute.threads == 1
    assert torch.get_num_threads() == 1
    assert compute.describe().endswith(f", 1 thread, {compute.precision}")
    weight = torch.randn(4, 4)
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with resolve_compute(settings(precision=precision)).autocast():
            assert (weight @ weight).dtype == dtype


def test_a_missing_device_is_refused():
    present = torch.cuda.device_count()
    with pytest.raises(ModelError, match=f"device: cuda:{present} was set"):
        resolve_compute(settings(device=f"cuda:{present}"))


def test_a_missing_compiler_is_reported(monkeypatch):
    monkeypatch.setattr(compute.shutil, "which", lambda name: None)
    assert not resolve_compute(settings()).compile
    with pytest.raises(ModelError, match=r"compile: true needs a C\+\+ compiler.*set compile: false"):
        resolve_compute(settings(compile=True))


def test_a_gradient_that_is_not_finite_names_the_step(tmp_path):
    """A loss may be finite although its gradient is not, as for the square root at 0."""
    task, checkpoint = Task(), tmp_path / "diverging.pt"
    loss, weight = task.loss, task.module[0].weight

    def diverging(step, generator):
        losses = loss(step, generator)
        return losses | {"loss": losses["loss"] + (weight * 0).sum().sqrt()} if step == 4 else losses

    task.loss = diverging
    with pytest.raises(ModelError, match=r"training diverged: the gradient's norm is nan at step 5; lower the"):
        task.train(checkpoint, checkpoint_seconds=0)
    state = torch.load(checkpoint, weights_only=True)
    assert state["step"] == 4 and all(torch.isfinite(tensor).all() for tensor in state["module"].values())


def test_no_broken_weights_get_into_a_checkpoint_or_a_model(tmp_path):
    """Loss and gradient are finite, but the step overflows."""
    for seconds in (0, 1e9):
        task, checkpoint = Task(), tmp_path / f"{seconds}.pt"
        loss = task.loss

        def overflowing(step, generator, task=task, loss=loss):
            if step == STEPS - 1:
                task.optimizer.param_groups[0]["lr"] = 1e39
            return loss(step, generator)

        task.loss = overflowing
        with pytest.raises(ModelError, match=rf"training diverged: 0.weight is no longer finite at step {STEPS}"):
            task.train(checkpoint, checkpoint_seconds=seconds)
        assert checkpoint.is_file() == (seconds == 0)


def test_large_gradients_are_applied_without_clipping(tmp_path):
    """Compare with backward passes and steps by hand, whose gradients have a norm above 1,000."""

    def start():
        torch.manual_seed(2)
        module = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(module.parameters(), lr=1e-6)

        def loss(step, generator=None):
            x = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
            return {"loss": 1e4 * (module(x) - 1).square().mean()}

        return module, loss, optimizer

    module, loss, optimizer = start()
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    options = {"steps": STEPS, "seed": 0, "compute": CPU, "checkpoint": tmp_path / "none.pt", "settings": {}}
    training.train(module, loss, optimizer, scheduler, **options)
    by_hand, loss, optimizer = start()
    for step in range(STEPS):
        optimizer.zero_grad()
        loss(step)["loss"].backward()
        assert torch.cat([parameter.grad.ravel() for parameter in by_hand.parameters()]).norm() > 1000
        optimizer.step()
    assert equal(module, by_hand)


def test_settings_determine_how_often_to_save_and_results_do_not_depend_on_it():
    settings = params.load("smoke", {"checkpoint_seconds": 0.5, "keep_finished": True})
    assert resolve_compute(settings).checkpoint_seconds == 0.5
    assert settings.resolved() == params.load("smoke").resolved()


class Refreshed(nn.Module):
    """Batch norm behind a layer and dropout, on batches whose mean drifts: a running average would lag behind."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layers = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 2))

    def on(self, generator):
        return self.layers(5 + torch.randn(16, 4, generator=generator))


def test_refreshed_batch_norm_is_the_average_over_the_drawn_batches(monkeypatch):
    module = Refreshed()
    weights = {name: value.clone() for name, value in module.named_parameters()}
    monkeypatch.setattr(batch_norm, "BATCHES", 7)
    batch_norm.refresh_batch_norm(module, module.on, CPU, seed=5)
    seen = []
    for index in range(7):  # the same batches and dropout masks, from their names
        torch.manual_seed(derive(5, "batch norm dropout", index))
        batch = 5 + torch.randn(16, 4, generator=training.generator(5, "batch norm", index))
        with torch.no_grad():
            seen.append(module.layers[1](module.layers[0](batch)).double().numpy())
    norm = module.layers[2]
    mean = np.mean([values.mean(0) for values in seen], axis=0)
    variance = np.mean([values.var(0, ddof=1) for values in seen], axis=0)
    np.testing.assert_allclose(norm.running_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(norm.running_var, variance, rtol=1e-5)
    assert norm.momentum == 0.1 and all(torch.equal(weights[name], value) for name, value in module.named_parameters())


def test_refreshing_depends_on_the_seed_only_and_leaves_a_network_without_batch_norm():
    one, other, third = Refreshed(), Refreshed(), Refreshed()
    other.layers[2].running_mean += 3  # whatever stood there
    for module, seed in ((one, 5), (other, 5), (third, 6)):
        torch.rand(seed)
        batch_norm.refresh_batch_norm(module, module.on, CPU, seed)
    assert equal(one, other) and not equal(one, third)
    plain = nn.Linear(4, 2)
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    batch_norm.refresh_batch_norm(plain, lambda generator: 1 / 0, CPU, 0)  # not even called
    assert all(torch.equal(before[name], value) for name, value in plain.state_dict().items())


@pytest.mark.parametrize(
    ("module", "counts"),
    [
        ("seeds.py", True),
        ("training.py", True),
        ("batch_norm.py", True),
        ("data/held_out_split.py", True),
        ("classifier/batches.py", True),
        ("data/catalogue.py", False),
        ("plots/style.py", False),
    ],
)
def test_checkpoints_of_other_code_are_not_used(tmp_path, module, counts):
    """Of a copy of the package: what draws the random numbers is part of it, what draws figures is not."""
    package = Path(checkpoints.__file__).parent
    for path in package.rglob("*.py"):
        copied = tmp_path / path.relative_to(package)
        copied.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copied)
    specification = importlib.util.spec_from_file_location("copied_checkpoints", tmp_path / "checkpoints.py")
    copy = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(copy)
    before = copy.code()
    assert before == checkpoints.code()
    copy.code.cache_clear()
    (tmp_path / module).write_text((tmp_path / module).read_text(encoding="utf-8") + "\n# another version\n", "utf-8")
    assert (copy.code() != before) == counts
