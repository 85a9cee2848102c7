"""Define the settings in ``params/*.yaml``, typed, documented and strictly validated.

The defaults below are the paper's settings where the paper states them, and ours where it does not (the book's page of
deviations lists those). ``params/paper.yaml`` spells out all of them; the other profiles list only what they change.
An unknown key, a wrong type or a value out of range raises an error with the key's full name.

* ``settings``: a whole profile, read from its file
* ``autoencoder``, ``classifier``, ``ensemble``: the settings of Sec. 2.1, 2.2 and 2.3 (the last also of the evaluation)
* ``data``, ``baselines``, ``integrated``: the clips and features, the baselines of Sec. 3.1, and our one network
* ``types``, ``validation``: types of single settings, and messages about wrong ones
* ``yaml12``, ``explain``: YAML as it is read, and ``params/paper.yaml`` with an explanation of every key
"""

from asdlib.params.autoencoder import Autoencoder, AutoencoderModel, AutoencoderScorer, SpecAugment
from asdlib.params.classifier import Classifier
from asdlib.params.data import Data, Features, Synthetic
from asdlib.params.ensemble import Evaluation
from asdlib.params.settings import Settings, load, section
from asdlib.params.types import Strict, WindowPooling
from asdlib.params.validation import merge

__all__ = [
    "Autoencoder",
    "AutoencoderModel",
    "AutoencoderScorer",
    "Classifier",
    "Data",
    "Evaluation",
    "Features",
    "Settings",
    "SpecAugment",
    "Strict",
    "Synthetic",
    "WindowPooling",
    "load",
    "merge",
    "section",
]
