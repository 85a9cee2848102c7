"""Put the code names of the profile ``ablations`` into words: the changes and the scores."""

import re

from asdlib.evaluation.ablations import ALSO_AGAINST

CHANGES = {
    "no_specaugment": "no masks, not even in training",
    "no_masking": "no masks at inference",
    "copies_1": "{new} masked copy, not {old}",
    "copies_2": "{new} masked copies, not {old}",
    "copies_10": "{new} masked copies, not {old}",
    "copies_20": "{new} masked copies, not {old}",
    "per_section": "one Gaussian per section, for both domains",
    "per_machine": "one Gaussian for all sections and domains",
    "id_none": "section unknown to the network",
    "id_input": "section at the input only",
    "id_embedding": "section at the bottleneck only, as an embedding",
    "id_both": "section at the bottleneck, too, as an embedding",
    "loss_l2": "squared error as the loss, not the absolute one",
    "latent_8": "bottleneck of {new} units, not {old}",
    "latent_128": "bottleneck of {new} units, not {old}",
    "shift": "shifted clips (ours), to train and to score",
    "no_ddcsad": "no DDCSAD loss",
    "ddcsad_1": "DDCSAD loss with weight {new}, not balanced",
    "centroids_fixed": "centroids fixed after the first pass",
    "centroids_epoch": "centroids computed once per epoch",
    "arcface": "ArcFace loss added",
    "source_mixup": "source clips mixed with one another, too (ours)",
    "no_mixup": "no Mixup, so no pseudo-target clips",
    "augmented": "noise added and volume changed",
    "negatives_machine": "outliers from its own machine type only",
    "resnet18": "backbone {new}, not {old}",
}
"""what a candidate changes; ``{new}`` and ``{old}`` are the values of the first setting that it changes"""
SCORES = {
    "median": "median of the frames",
    "mean": "mean of the frames",
    "max": "maximum of the frames",
    "top_k": "mean of the highest frames",
    "percentile": "a high percentile of the frames",
    "upper_mean": "mean of the upper half of the frames",
    "median_of_max": "median, of the maximum over copies",
    "median_of_median": "median, of the median over copies",
    "clip_signed": "Gaussian of the clip's mean signed error",
    "l1": "mean absolute error, no Gaussian",
    "w50_mean": "posterior and distance",
    "source_model": "posterior and distance, not fine-tuned",
    "posterior": "posterior alone",
    "distance": "distance alone",
    "mahalanobis": "Mahalanobis distance of the embedding",
    "source_mahalanobis": "Mahalanobis, not fine-tuned",
}
"""what a variant computes"""


def change_in_words(candidate: str, change: str) -> str:
    """What a candidate changes.

    >>> change_in_words("latent_8", "model.latent: 8 (else 32)")
    'bottleneck of 8 units, not 32'
    """
    new, old = re.match(r"[\w.]+: (.*?) \(else (.*?)\)(?:;|$)", change).groups()
    return CHANGES[candidate].format(new=new, old=old)


def row_in_words(candidate: str, variant: str, change: str) -> str:
    """What a comparison changes: a setting, or in rows of the first candidate the score.

    >>> row_in_words("base", "mean", "")
    'mean of the frames'
    >>> row_in_words("base", "source_mahalanobis", "")
    'Mahalanobis, not fine-tuned, minus mahalanobis'
    """
    if change:
        return change_in_words(candidate, change)
    return SCORES[variant] + (f", minus {ALSO_AGAINST[variant]}" if variant in ALSO_AGAINST else "")
