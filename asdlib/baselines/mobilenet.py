"""Train the official classification baseline (Sec. 3.1, [1]), row 2 of Table 1, ``Baseline (MobileNetV2)``.

A MobileNetV2 of half width learns to distinguish the sections of a machine type, on windows of 64 log-mel frames. The
less certain it is of a clip's own section, the more anomalous the clip: the score is the mean over windows of
log((1 - p) / p), where p is the posterior of the clip's section.

For a machine type with only one section, p would be 1 for every clip. In this case the other machine types of the run,
including outliers, are added as further classes, one per section.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from asdlib import batch_norm, paths, scores, training
from asdlib.baselines.files import write
from asdlib.baselines.windows import Spectrograms, Windows
from asdlib.compute import resolve_compute
from asdlib.data import plan
from asdlib.data.audio import Waveforms
from asdlib.data.held_out_split import HELD_OUT
from asdlib.errors import ModelError
from asdlib.features import LogMel
from asdlib.seeds import derive
from asdlib.stage import Stage

SYSTEM = "mobilenet"
_CHUNK = 64  # windows per step at inference


def network(classes: int, width: float = 0.5) -> nn.Module:
    """Build MobileNetV2 without pretrained weights and, as in the official code, without dropout."""
    return mobilenet_v2(num_classes=classes, width_mult=width, dropout=0.0).to(memory_format=torch.channels_last)


def images(windows: Tensor) -> Tensor:
    """Repeat ``(windows, frames, mels)`` in three channels, ``(windows, 3, frames, mels)``, channels last in memory."""
    return windows[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def window_scores(logits: Tensor, section: Tensor, published_formula: bool = False) -> Tensor:
    """Compute the anomaly score of each window from the classifier's output, finite however certain it is.

    Args:
        logits: ``(windows, classes)``.
        section: Index of each window's own section, ``(windows,)``.
        published_formula: False for log((1 - p) / p), true for the official code's log((1 - p) - log p).

    Returns:
        ``(windows,)``, float64.

    >>> window_scores(torch.tensor([[0.0, 0.0], [0.0, 1000.0]]), torch.tensor([0, 0])).tolist()
    [0.0, 1000.0]
    """
    logits, own = logits.double(), section[:, None]
    others = logits.scatter(1, own, -torch.inf).logsumexp(1)
    odds = others - logits.gather(1, own).squeeze(1)  # log((1 - p) / p), without computing p
    # 1 - p = sigmoid(odds), -log p = softplus(odds)
    return (odds.sigmoid() + nn.functional.softplus(odds)).log() if published_formula else odds


def run(settings, machine: str) -> pd.DataFrame:
    """Train the classifier of one machine type, score its clips, and write the folder of ``mobilenet``.

    ``precision: auto`` means float32 here, since depthwise convolutions are not faster in bfloat16 on a CPU.

    Returns:
        The score table of the clips of :attr:`~asdlib.data.machine_clips.MachineClips.scored`.

    Raises:
        ModelError: A clip is shorter than a window, or the whole run has only one section.
        DataError: The machine type has no systems in this run.
    """
    baseline = settings.mobilenet
    precision = "float32" if settings.precision == "auto" else settings.precision
    compute = resolve_compute(settings.model_copy(update={"precision": precision}))
    stage = Stage(settings, SYSTEM, machine, compute=compute)
    clips, table = stage.clips, stage.clips.table
    sources = [(clips.waveforms, clips.rows)]
    if table["section"].nunique() == 1:
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
    held_out = np.flatnonzero(clips.role == HELD_OUT)
    learn = np.setdiff1d(np.flatnonzero(known["split"] == "train"), held_out)
    seed = derive(settings.seed, SYSTEM, machine)
    windows = Windows(spectrograms, baseline.frames, baseline.train_hop, learn)
    model, history, earlier = _train(stage, stored, windows, target, len(classes), seed)

    scored = Windows(spectrograms, baseline.frames, baseline.test_hop, np.arange(len(table)))
    values = _score(model, scored, target, baseline.published_formula)
    result = scores.table(clips.scored, SYSTEM, values[clips.scored.index])
    odds = _score(model, scored, target, False) if baseline.published_formula else values
    own = learn[learn < len(table)]
    right = pd.Series(odds[own] < 0)  # the clip's own section is likelier than all others together
    accuracy = float(right.groupby(table["section"].to_numpy()[own]).mean().mean())
    about = {
        "parameters": training.count_parameters(model),
        "accuracy": accuracy,
        "health": health(accuracy),
    }
    with stage.writing(stored, seed=seed, data=clips.waveforms.fingerprint, earlier=earlier, **about) as folder:
        write(folder, result, model.state_dict(), history)
    return result


def _train(
    stage: Stage, stored: dict, windows: Windows, target: Tensor, classes: int, seed: int
) -> tuple[nn.Module, pd.DataFrame, float]:
    """Train the network, or resume its training.

    Args:
        stage: The stage at work.
        stored: Settings that the network depends on.
        windows: Windows to learn from.
        target: Class of each clip.
        classes: Number of classes.
        seed: Seed of weights and batches.

    Returns:
        The network, its history, and the seconds that earlier starts took.
    """
    baseline, compute = stage.settings.mobilenet, stage.compute
    torch.manual_seed(derive(seed, "weights"))
    model = network(classes, baseline.width).to(compute.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=baseline.learning_rate, fused=True)
    epochs = training.Epochs(len(windows), baseline.batch_size, seed)

    def output(index: Tensor) -> Tensor:
        return model(images(windows.cut(index)))

    def draw(step: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        index = training.to_device(epochs.batch(step), compute.device)
        return windows.cut(index), target[windows.clip[index]]

    def loss(window: Tensor, section: Tensor) -> dict[str, Tensor]:
        return {"loss": nn.functional.cross_entropy(model(images(window)).float(), section)}

    history, earlier = training.train(
        model,
        training.Loss(draw, loss),
        optimizer,
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        steps=baseline.epochs * epochs.steps,
        seed=seed,
        **stage.resuming(stored),
    )
    batch_norm.refresh_batch_norm(
        model, lambda generator: output(torch.randint(len(windows), (64,), generator=generator)), compute, seed
    )
    return model, history, earlier


def health(accuracy: float) -> list[str]:
    """Return problems of the trained network, one sentence each.

    Args:
        accuracy: Share of training clips that it assigns to their own section, averaged over sections, because a
            network that always gives the same answer is right in one section only.
    """
    if accuracy > 0.5:
        return []
    return [f"at inference, the network assigns only {accuracy:.0%} of its training clips to their own section"]


@torch.inference_mode()
def _score(model: nn.Module, windows: Windows, target: Tensor, published_formula: bool) -> np.ndarray:
    """Score each clip by the mean over its windows, in float32."""
    model.eval()
    parts = []
    for index in torch.arange(len(windows)).split(_CHUNK):
        section = target[windows.clip[index.to(target.device)]]
        parts.append(window_scores(model(images(windows.cut(index))), section, published_formula))
    return windows.clip_means(torch.cat(parts))


def _other_machines(settings, machine: str) -> list[tuple[Waveforms, np.ndarray]]:
    """Return the training clips of all other machine types of the run, as further classes."""
    planned, run = plan.read(settings), paths.Run.of(settings)
    others = [other for other in [*planned.machines, *planned.outliers] if other != machine]
    if not others:
        raise ModelError(
            f"{machine} has only one section and the run no other machine type, so MobileNetV2 has nothing to "
            "distinguish; add another section, or normal recordings of another machine type, to "
            f"{settings.data.root}"
        )
    opened = [Waveforms.open(run.data(other)) for other in others]
    return [(waveforms, np.flatnonzero(waveforms.clips["split"] == "train")) for waveforms in opened]
