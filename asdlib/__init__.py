"""Anomalous sound detection with an ensemble of autoencoder and binary classification approaches.

An open, reproducible companion of the DCASE2021 Challenge Task 2 report of Kuroyanagi et al. The packages follow the
paper's table of contents: ``data`` (Sec. 3.1), ``autoencoder`` (2.1), ``classifier`` (2.2), ``baselines`` (3.1),
``ensemble`` (2.3), ``evaluation`` (3).
"""

from importlib import metadata

__version__ = metadata.version("asdlib")


class AsdError(Exception):
    """An error whose message is meant for the user: what was found, what was expected, what to do."""
