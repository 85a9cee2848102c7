"""Train the official frame-wise autoencoder (Sec. 3.1, [1]), row 1 of Table 1, ``Baseline (AE)``.

Five consecutive log-mel frames form one input vector, which dense layers reduce to 8 units and expand again. There is
one network per machine type, trained on all normal clips of all sections and both domains. A clip's score is the mean
squared error over its vectors. The official code sets a tenth of the clips aside for validation, including the last
section's target clips; here a share of each section's source clips is held out, as in all systems
(:mod:`asdlib.data.held_out_split`). The mean spectrum of the training clips is subtracted first. This speeds up the
first steps and does not change what the network can express.
"""

from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from asdlib import scores, training
from asdlib.baselines.files import write
from asdlib.baselines.windows import Spectrograms, Windows
from asdlib.compute import resolve_compute
from asdlib.data.held_out_split import LEARN
from asdlib.features import LogMel
from asdlib.seeds import derive
from asdlib.stage import Stage

SYSTEM = "frame_autoencoder"
_CHUNK = 8192  # vectors per step at inference


def network(inputs: int, hidden: int = 128, bottleneck: int = 8) -> nn.Sequential:
    """Build dense layers of ``hidden`` x 4, ``bottleneck``, ``hidden`` x 4 (with batch norm and ReLU), and ``inputs``.

    >>> network(640)(torch.zeros(2, 640)).shape
    torch.Size([2, 640])
    """
    layers: list[nn.Module] = []
    for narrow, wide in pairwise([inputs, *[hidden] * 4, bottleneck, *[hidden] * 4]):
        layers += [nn.Linear(narrow, wide), nn.BatchNorm1d(wide), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(hidden, inputs))


def run(settings, machine: str) -> pd.DataFrame:
    """Train the network of one machine type, score its clips, and write the folder of ``frame_autoencoder``.

    All sections with training clips are used for training.

    Returns:
        The score table of the clips of :attr:`asdlib.data.machine_clips.MachineClips.scored`,
        with mean squared errors in dB squared.

    Raises:
        ModelError: A clip is shorter than one vector.
        DataError: The machine type has no systems in this run.
    """
    baseline, compute = settings.frame_autoencoder, resolve_compute(settings)
    stage = Stage(settings, SYSTEM, machine, compute=compute)
    clips, waveforms = stage.clips, stage.clips.waveforms
    stored = {
        "machine": machine,
        "sections": sorted(set(clips.table["section"])),
        **settings.common(),
        "data_fingerprint": waveforms.fingerprint,
        **baseline.model_dump(mode="json"),
    }
    log_mel = LogMel(baseline.features, settings.data.sample_rate).to(compute.device)
    spectrograms = Spectrograms([(waveforms, clips.rows)], log_mel, shortest=baseline.frames)
    learn = np.flatnonzero(clips.role == LEARN)
    level = _mean_frame(spectrograms, learn)
    spectrograms.frames.sub_(level)
    vectors = Windows(spectrograms, baseline.frames, clips=learn)

    seed = derive(settings.seed, SYSTEM, machine)
    torch.manual_seed(derive(seed, "weights"))
    model = network(baseline.frames * log_mel.n_mels, baseline.hidden, baseline.bottleneck).to(compute.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=baseline.learning_rate, fused=True)
    epochs = training.Epochs(len(vectors), baseline.batch_size, seed)

    def loss(vector: Tensor) -> dict[str, Tensor]:
        return {"loss": nn.functional.mse_loss(model(vector).float(), vector)}

    history, earlier = training.train(
        model,
        training.Loss(lambda step, generator: (vectors.cut(epochs.batch(step)).flatten(1),), loss),
        optimizer,
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0),
        steps=baseline.epochs * epochs.steps,
        seed=seed,
        **stage.resuming(stored),
    )
    error = errors(model, Windows(spectrograms, baseline.frames))
    table = scores.table(clips.scored, SYSTEM, error[clips.scored.index])
    explained = 1 - float(error[learn].mean()) / _variance(spectrograms, learn)
    about = {
        "parameters": training.count_parameters(model),
        "explained_share": explained,
        "health": [] if explained > 0 else ["the network reconstructs its training clips no better than their mean"],
    }
    with stage.writing(stored, seed=seed, data=waveforms.fingerprint, earlier=earlier, **about) as folder:
        write(folder, table, {**model.state_dict(), "level": level}, history)
    return table


@torch.inference_mode()
def errors(model: nn.Module, windows: Windows) -> np.ndarray:
    """Compute the mean squared reconstruction error of each clip, over its vectors and their elements, in float32."""
    model.eval()
    parts = []
    for index in torch.arange(len(windows)).split(_CHUNK):
        vector = windows.cut(index).flatten(1)
        parts.append((model(vector) - vector).square().mean(1))
    return windows.clip_means(torch.cat(parts))


def _variance(spectrograms: Spectrograms, clips: np.ndarray) -> float:
    """Compute the mean square of the (centred) frames of clips, the error of a network that has learnt nothing."""
    parts = spectrograms.frames.split(spectrograms.lengths.tolist())
    total = sum(float(parts[clip].double().square().mean(1).sum()) for clip in clips)
    return total / float(spectrograms.lengths[clips].sum())


def _mean_frame(spectrograms: Spectrograms, clips: np.ndarray) -> Tensor:
    """Compute the mean of all frames of clips, ``(mels,)``, summing clip by clip for precision."""
    parts = spectrograms.frames.split(spectrograms.lengths.tolist())
    total = sum(parts[clip].double().sum(0) for clip in clips)
    return (total / spectrograms.lengths[clips].sum()).float()
