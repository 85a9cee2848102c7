"""Write the one network of a machine type as ONNX files, one per section, which run without PyTorch.

A file maps a waveform of the length of the machine type's clips to what the scores are made of: reconstruction errors,
embedding and posterior, with the log-mel front-end and the masks of all copies inside. Gaussians are not part of it.
"""

from pathlib import Path

import torch
from safetensors.torch import load_model
from torch import Tensor, nn

from asdlib import atomic, onnx_files
from asdlib.atomic import read_json
from asdlib.autoencoder import masked_copies
from asdlib.errors import ModelError
from asdlib.features import LogMel, interior
from asdlib.integrated.train import Learner
from asdlib.params.integrated import Integrated
from asdlib.paths import INTEGRATED, MODEL, RECORD

FOLDER, OUTPUTS = "onnx", ["signed", "absolute", "embedding", "posterior"]


class Outputs(nn.Module):
    """Map a waveform ``(samples,)`` in -1 to 1 to the means over its masked copies of everything that is scored.

    Args:
        learner: The trained network.
        sample_rate: Sampling rate in Hz.
        seed: Seed of the masks, which depend on the section only.
        section: Index and name of the section that clips claim to be of.
        samples: Length of the waveform.
    """

    def __init__(self, learner: Learner, sample_rate: int, seed: int, section: tuple[int, str], samples: int):
        super().__init__()
        settings, (index, name) = learner.settings, section
        self.learner, self.log_mel = learner.cpu().float(), LogMel(settings.features, sample_rate)
        shape = interior(self.log_mel(torch.zeros(1, samples))[0], self.log_mel).shape
        gains = masked_copies.draw_gains(settings.specaugment, name, settings.scorer.copies, *shape, seed)
        self.register_buffer("gains", gains.contiguous())
        self.register_buffer("section", torch.full((len(gains),), index, dtype=torch.int64))

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """Return signed and absolute errors ``(frames, mels + 1)``, embedding ``(D,)`` and posterior ``()``."""
        network = self.learner.network
        features = network.standardise(interior(self.log_mel(waveform[None])[0], self.log_mel)[None])
        output = network(features * self.gains, self.section)
        error = output.reconstruction - network.target(features, self.section[:1])
        posterior = self.learner.posterior(output, self.section)
        return error.mean(0), error.abs().mean(0), output.embedding.mean(0), posterior.mean()


def export(system: Path, samples: int) -> list[Path]:
    """Write the network of a run as ONNX files, whole or not at all, and compare each with PyTorch.

    Args:
        system: Folder that :func:`asdlib.integrated.run.run` wrote: ``runs/<profile>/integrated/<machine>``.
        samples: Length of the clips that the files are for.

    Returns:
        The files: ``onnx/section_<section>.onnx``, with the outputs :data:`OUTPUTS`.

    Raises:
        ModelError: The folder holds no *Integrated*, a package of the extra ``onnx`` is missing, or a file gives other
            values than PyTorch.
    """
    onnx_files.require_packages()
    try:
        record = read_json(system / RECORD)
        known = record["settings"]
        settings = Integrated.model_validate({key: known[key] for key in Integrated.model_fields})
    except (OSError, ValueError, KeyError):
        raise ModelError(f"{system}: no {RECORD} of an {INTEGRATED} model; run notebook 11_integrated") from None
    sections, outliers = known["sections"], bool(known["outliers"])
    learner = Learner(settings, settings.features.n_mels, len(sections), outliers)
    load_model(learner, str(system / MODEL))
    written = []
    with atomic.writing(system / FOLDER, folder=True) as folder:
        for index, name in enumerate(sections):
            module = Outputs(learner, known["sample_rate"], record["seed"], (index, name), samples)
            file = folder / f"section_{name}.onnx"
            onnx_files.write(module, samples, OUTPUTS, file)
            written.append(system / FOLDER / file.name)
    return written
