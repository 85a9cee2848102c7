"""Count what the paper's whole run computes and stores: ``python benchmarks/paper_run.py``.

Floating-point operations of a forward pass of every candidate of ``params/paper.yaml`` are counted on a small batch and
multiplied; a training step takes three times as many (the counter is wrong for the backward pass of grouped
convolutions). Nothing is timed: the book's cost page converts operations to hours by steps that a GPU was timed with.
Bytes are those of a model's weights, in as many files as a training writes.
Writes ``book/results/paper_run.csv``.
"""

from pathlib import Path

import pandas as pd
import torch
from measure import operations

from asdlib import atomic, params, records
from asdlib.autoencoder.model import Autoencoder
from asdlib.classifier import FILES
from asdlib.classifier.model import Classifier
from asdlib.evaluation import paper

SECTIONS = 6
"""number of sections of a machine type in the development and evaluation sets together (Sec. 3.1)"""
BATCH = 4
"""size of the batch whose operations are counted"""
BACKWARD = 2
"""operations of a backward pass, in units of a forward pass"""


def main() -> None:
    """Count, and write one row per candidate: number of models, steps and bytes of each, operations of all."""
    settings = params.load("paper")
    machines = len(paper.MACHINES)
    rows = []
    for name in settings.autoencoder_candidates:
        branch = settings.candidate("autoencoder", name)
        model = Autoencoder(branch.model, branch.features.n_mels, SECTIONS)
        step = (1 + BACKWARD) * autoencoder(branch, model) * branch.training.batch_size / BATCH
        rows.append(("autoencoder", name, machines, branch.training.steps, step, weight(model), 0))
    for name in settings.classifier_candidates:
        branch = settings.candidate("classifier", name)
        branch = branch.model_copy(update={"model": branch.model.model_copy(update={"pretrained": False})})
        model = Classifier(branch, settings.data.sample_rate)
        steps = branch.training.steps + branch.training.finetune_steps
        step = (1 + BACKWARD) * classifier(branch, model) * branch.batches.batch_size / BATCH
        size = len(FILES) * weight(model)
        rows.append(("classifier", name, machines * SECTIONS, steps, step, size, model.backbone.num_features))
    columns = ["branch", "candidate", "models", "steps", "operations_a_step", "bytes", "embedding"]
    table = pd.DataFrame(rows, columns=columns)
    table["operations"] = table["models"] * table["steps"] * table["operations_a_step"]
    table["commit"] = records.commit()
    path = Path(__file__).parents[1] / "book" / "results" / "paper_run.csv"
    with atomic.writing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g", lineterminator="\n")
    print(table.to_string())


def weight(model: torch.nn.Module) -> int:
    """Return the bytes of a model's weights and buffers."""
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def autoencoder(branch, model: Autoencoder) -> int:
    """Count operations of a forward pass of :data:`BATCH` crops of mean length."""
    features = torch.randn(BATCH, sum(branch.training.crop_frames) // 2, branch.features.n_mels)
    section = torch.zeros(BATCH, dtype=torch.long)
    return operations(lambda: model(features, section))


def classifier(branch, model: Classifier) -> int:
    """Count operations of a forward pass of :data:`BATCH` windows, including the log-mel."""
    waveform = torch.randn(BATCH, (branch.images.frames - 1) * branch.features.hop_length) / 10
    return operations(lambda: model(waveform))


if __name__ == "__main__":
    main()
