"""Row 2 of Table 1, ``Baseline (MobileNetV2)``: the official classification baseline (Sec. 3.1, [1]).

A MobileNetV2 of half width learns to tell the sections of a machine type apart, on windows of 64 log-mel frames. A clip
whose own section it doubts is anomalous: the score is the mean over windows of log((1 - p) / p), p being the posterior
of the clip's section.

Where a machine type has one section only there is nothing to tell apart: p would be 1 for every clip. The other machine
types of the run, outliers included, then join as further classes, one for each of their sections.
"""

import time

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from asdlib import artefacts, checkpoints, data, paths, scores, training
from asdlib.baselines.machine import BaselineError, write
from asdlib.baselines.windows import Spectrograms, Windows
from asdlib.data import catalogue, roles
from asdlib.data.audio import Waveforms
from asdlib.features import LogMel

SYSTEM = "mobilenet"
_CHUNK = 64  # windows a step at inference


def network(classes: int, width: float = 0.5) -> nn.Module:
    """MobileNetV2 without pretrained weights and, as in the official code, without dropout before the last layer."""
    return mobilenet_v2(num_classes=classes, width_mult=width, dropout=0.0).to(memory_format=torch.channels_last)


def images(windows: Tensor) -> Tensor:
    """``(windows, frames, mels)`` to ``(windows, 3, frames, mels)``: three equal channels, channels last in memory."""
    return windows[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def window_scores(logits: Tensor, section: Tensor, published_formula: bool = False) -> Tensor:
    """Anomaly score of each window from the classifier's output, finite however sure the classifier is.

    Args:
        logits: ``(windows, classes)``.
        section: Index of the own section of each window, ``(windows,)``.
        published_formula: False for log((1 - p) / p), true for the official code's log((1 - p) - log p).

    Returns:
        ``(windows,)``, float64.

    >>> window_scores(torch.tensor([[0.0, 0.0], [0.0, 1000.0]]), torch.tensor([0, 0])).tolist()
    [0.0, 1000.0]
    """
    logits, own = logits.double(), section[:, None]
    others = logits.scatter(1, own, -torch.inf).logsumexp(1)
    odds = others - logits.gather(1, own).squeeze(1)  # log((1 - p) / p), without ever computing p
    # 1 - p = sigmoid(odds), -log p = softplus(odds)
    return (odds.sigmoid() + nn.functional.softplus(odds)).log() if published_formula else odds


def run(settings, machine: str) -> pd.DataFrame:
    """Train the classifier of one machine type, score its clips, and write the folder of ``mobilenet``.

    ``precision: auto`` means float32 here: depthwise convolutions gain nothing from bfloat16 on a processor.

    Returns:
        The score table, of the clips of :attr:`asdlib.data.MachineClips.scored`.

    Raises:
        BaselineError: A clip is shorter than a window, or there is one section only in the whole run.
        DataError: The machine type gets no systems.
    """
    began = time.monotonic()
    baseline, folders = settings.mobilenet, paths.Run.of(settings)
    precision = "float32" if settings.precision == "auto" else settings.precision
    compute = training.compute(settings.model_copy(update={"precision": precision}))
    opened = data.open_machine(settings, machine)
    waveforms, rows, clips = opened.waveforms, opened.rows, opened.table
    sources = [(waveforms, rows)]
    if clips["section"].nunique() == 1:
        sources += _other_machines(settings, machine)
    known = pd.concat([source.clips.iloc[chosen] for source, chosen in sources], ignore_index=True)
    names = known["machine"] + " " + known["section"]
    classes = list(dict.fromkeys(names))
    target = torch.tensor([classes.index(name) for name in names], device=compute.device)
    stored = {
        "machine": machine,
        "classes": classes,
        **settings.common(),
        "data_fingerprint": [source.fingerprint for source, _ in sources],
        **baseline.model_dump(mode="json"),
    }
    log_mel = LogMel(baseline.features, settings.data.sample_rate).to(compute.device)
    spectrograms = Spectrograms(sources, log_mel, shortest=baseline.frames)
    held_out = np.flatnonzero(opened.role == roles.HELD_OUT)
    learn = np.setdiff1d(np.flatnonzero(known["split"] == "train"), held_out)
    windows = Windows(spectrograms, baseline.frames, baseline.train_hop, learn)

    seed = training.derive(settings.seed, SYSTEM, machine)
    torch.manual_seed(training.derive(seed, "weights"))
    model = network(len(classes), baseline.width).to(compute.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=baseline.learning_rate, fused=True)
    epochs = training.Epochs(len(windows), baseline.batch_size, seed)

    def output(index: Tensor) -> Tensor:
        return model(images(windows.cut(index)))

    def loss(step: int, generator: torch.Generator) -> dict[str, Tensor]:
        index = epochs.batch(step)
        logits = output(index)
        section = target[windows.clip[index.to(compute.device)]]
        return {"loss": nn.functional.cross_entropy(logits.float(), section)}

    facts = stored | {"compute": compute.describe()}  # a checkpoint of another device would give other bits
    checkpoint = folders.checkpoint(SYSTEM, machine, None, "train", facts)
    history = training.train(
        model,
        loss,
        optimizer,
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        steps=baseline.epochs * epochs.steps,
        seed=seed,
        compute=compute,
        checkpoint=checkpoint,
        settings=facts,
    )
    training.refresh_batch_norm(
        model, lambda generator: output(torch.randint(len(windows), (64,), generator=generator)), compute, seed
    )
    scored = Windows(spectrograms, baseline.frames, baseline.test_hop, np.arange(len(rows)))
    values = _score(model, scored, target, baseline.published_formula)
    table = scores.table(opened.scored, SYSTEM, values[opened.scored.index])
    odds = _score(model, scored, target, False) if baseline.published_formula else values
    own = learn[learn < len(rows)]
    right = pd.Series(odds[own] < 0)  # the own section is likelier than all others
    accuracy = float(right.groupby(clips["section"].to_numpy()[own]).mean().mean())
    record = artefacts.record(
        stored,
        seed=seed,
        device=compute.describe(),
        data=waveforms.fingerprint,
        seconds=time.monotonic() - began + history.attrs[training.BEFORE],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        accuracy=accuracy,
        health=health(accuracy),
    )
    write(folders.system(SYSTEM, machine), table, model.state_dict(), record, history)
    checkpoints.finish(checkpoint)
    return table


def health(accuracy: float) -> list[str]:
    """Return what is wrong with the network, one sentence each.

    Args:
        accuracy: Share of its training clips that it takes for their own section, the mean over sections: a network
            that always gives one answer is right in one section only.
    """
    if accuracy > 0.5:
        return []
    return [f"at inference, the network takes only {accuracy:.0%} of its training clips for their own section"]


@torch.inference_mode()
def _score(model: nn.Module, windows: Windows, target: Tensor, published_formula: bool) -> np.ndarray:
    """Score of each clip, in float32: mean over its windows."""
    model.eval()
    parts = []
    for index in torch.arange(len(windows)).split(_CHUNK):
        section = target[windows.clip[index.to(target.device)]]
        parts.append(window_scores(model(images(windows.cut(index))), section, published_formula))
    return windows.clip_means(torch.cat(parts))


def _other_machines(settings, machine: str) -> list[tuple[Waveforms, np.ndarray]]:
    """The training clips of all other machine types of the run, as further classes."""
    plan, folders = catalogue.plan(settings), paths.Run.of(settings)
    others = [other for other in [*plan.machines, *plan.outliers] if other != machine]
    if not others:
        raise BaselineError(
            f"{machine} has one section and the run no other machine type: MobileNetV2 has nothing to tell apart; add "
            f"another section, or normal recordings of another machine type under {settings.data.root}"
        )
    opened = [Waveforms.open(folders.data(other)) for other in others]
    return [(waveforms, np.flatnonzero(waveforms.clips["split"] == "train")) for waveforms in opened]
