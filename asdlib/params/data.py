"""Sec. 3.1: settings of the clips."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from asdlib.data.file_names import MACHINES
from asdlib.params.types import Count, Folder, Machines, Positive, PositiveFloat, Sections, Strict, number


class Synthetic(Strict):
    """The embedded demonstration data (:mod:`asdlib.synthetic.dataset`), which must never be called DCASE2021."""

    seed: Count = 0
    """seed of the recordings"""
    machines: Machines = [*MACHINES]
    """machine types, out of the seven of DCASE2021"""
    sections: Sections = ["00", "01", "02"]
    """sections of each machine type"""
    duration: PositiveFloat = 10.0
    """length of a clip in seconds"""
    train_source: Positive = 1000
    """normal training clips per section in the source domain"""
    train_target: Count = 3
    """normal training clips per section in the target domain"""
    test_normal: Positive = 100
    """normal test clips per section and domain"""
    test_anomaly: Positive = 100
    """anomalous test clips per section and domain"""
    snr: float = 6.0
    """level of the machine over the factory background in the source domain, in dB"""


class ShiftedClips(Strict):
    """Source training clips to which the shift that the target clips show is applied (:mod:`asdlib.shift.physical`)."""

    clips: Annotated[int, BeforeValidator(number), Field(ge=2)] = 200
    """maximum number per section"""
    jitter: Annotated[float, Field(ge=0)] = 2.0
    """standard deviation of the background's level from clip to clip, in dB"""


class Data(Strict):
    """Location of the clips and choice of those to use."""

    root: Folder = "data/dcase2021"
    """folder of the data set: ``<root>/<machine>/{train,source_test,target_test}/*.wav``"""
    synthetic: Synthetic | None = None
    """create the synthetic demonstration in <root>; null for existing recordings"""
    machines: Machines | None = None
    """machine types to build systems for; null for all that have test clips (the others serve as outliers)"""
    sections: Sections | None = None
    """sections to use; null for all"""
    sample_rate: Positive = 16_000
    """sampling rate that every clip must have, in Hz"""
    channels: Literal["refuse", "first", "mean"] = "refuse"
    """what to do with a clip that has more than one channel"""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """share of each section's source training clips that no network learns from; scorers, normalisation and thresholds
    use them"""
    shifted: ShiftedClips = ShiftedClips()
    """shifted clips: source training clips to which the shift that the target clips show is applied"""
    anomalies: bool = True
    """whether a section needs anomalous test clips; false for a detector of your own machine, which has none"""


class Features(Strict):
    """Log-mel settings, named as in librosa; power in dB."""

    n_fft: Positive = 1024
    """FFT points"""
    hop_length: Positive = 512
    """samples between frames"""
    n_mels: Positive = 128
    """mel bands"""
