"""Sec. 2.2: the binary classification branch, one model a machine type and section."""

from asdlib import AsdError

STAGES = ("source training", "fine-tuning")
FILES = {"source training": "source.safetensors", "fine-tuning": "target.safetensors"}
"""of a section's models, by stage"""
OUTLIER, NORMAL = 0, 1
"""rows of the centroids: the index of a class is its label"""


class ClassifierError(AsdError):
    """A classifier that cannot be made, trained or used; the message says why and what to do."""
