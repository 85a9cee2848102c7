"""Estimate the cost of the paper's whole run: ``python benchmarks/paper_run.py``.

Floating-point operations of a forward pass of every candidate of ``params/paper.yaml`` are counted on a small batch and
multiplied; a training step takes three times as many (the counter is wrong for the backward pass of grouped
convolutions). Nothing is timed: the book's cost page converts operations to hours with a rate that it states.
Writes ``book/results/paper_run.csv``.
"""

from pathlib import Path

import pandas as pd
import torch
from measure import operations

from asdlib import atomic, params, records
from asdlib.autoencoder.model import Autoencoder
from asdlib.classifier.model import Classifier
from asdlib.evaluation import paper

SECTIONS = 6
"""number of sections of a machine type in the development and evaluation sets together (Sec. 3.1)"""
BATCH = 4
"""size of the batch whose operations are counted"""
BACKWARD = 2
"""operations of a backward pass, in units of a forward pass"""


def main() -> None:
    """Count operations, and write one row per candidate: number of models, steps of each, operations of all."""
    settings = params.load("paper")
    machines = len(paper.MACHINES)
    rows = []
    for name in settings.autoencoder_candidates:
        branch = settings.candidate("autoencoder", name)
        step = (1 + BACKWARD) * autoencoder(branch) * branch.training.batch_size / BATCH
        rows.append(("autoencoder", name, machines, branch.training.steps, step))
    for name in settings.classifier_candidates:
        branch = settings.candidate("classifier", name)
        steps = branch.training.steps + branch.training.finetune_steps
        step = (1 + BACKWARD) * classifier(branch, settings.data.sample_rate) * branch.batches.batch_size / BATCH
        rows.append(("classifier", name, machines * SECTIONS, steps, step))
    table = pd.DataFrame(rows, columns=["branch", "candidate", "models", "steps", "operations_a_step"])
    table["operations"] = table["models"] * table["steps"] * table["operations_a_step"]
    table["commit"] = records.commit()
    path = Path(__file__).parents[1] / "book" / "results" / "paper_run.csv"
    with atomic.writing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.4g", lineterminator="\n")
    print(table.to_string())


def autoencoder(branch) -> int:
    """Count operations of a forward pass of :data:`BATCH` crops of mean length."""
    model = Autoencoder(branch.model, branch.features.n_mels, SECTIONS)
    features = torch.randn(BATCH, sum(branch.training.crop_frames) // 2, branch.features.n_mels)
    section = torch.zeros(BATCH, dtype=torch.long)
    return operations(lambda: model(features, section))


def classifier(branch, sample_rate: int) -> int:
    """Count operations of a forward pass of :data:`BATCH` windows, including the log-mel."""
    branch = branch.model_copy(update={"model": branch.model.model_copy(update={"pretrained": False})})
    model = Classifier(branch, sample_rate)
    waveform = torch.randn(BATCH, (branch.images.frames - 1) * branch.features.hop_length) / 10
    return operations(lambda: model(waveform))


if __name__ == "__main__":
    main()
