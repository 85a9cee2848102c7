"""Compute what notebook 01 shows of the synthetic faults: a list of their kinds, and one clip with each of them."""

import pandas as pd
import torch

from asdlib.data import file_names
from asdlib.data.inspection import Example
from asdlib.features import LogMel
from asdlib.params import Features
from asdlib.synthetic import dataset, faults
from asdlib.units import FULL_SCALE


def kinds(settings) -> list[Example]:
    """Synthesise a clip without a fault, and the same clip with each kind of fault.

    The machine is the first of ``data.synthetic.machines``; each fault has the upper end of its severity. The log-mel
    is finer in time than that of the systems. Empty for recordings.
    """
    synthetic, rate = settings.data.synthetic, settings.data.sample_rate
    if synthetic is None:
        return []
    machine, section = synthetic.machines[0], synthetic.sections[0]
    name = file_names.ClipName(section, "source", "test", "anomaly", "0000")
    log_mel = LogMel(Features(n_fft=512, hop_length=128, n_mels=64), rate)
    examples = []
    for kind, fault in {"": None, **faults.FAULTS[machine]}.items():
        severity = fault.quantity.clear if fault else 0.0
        waveform = dataset.waveform(synthetic, rate, machine, name, fault=kind, severity=severity) / FULL_SCALE
        title = f"{kind.replace('_', ' ')} ({fault.family})" if fault else f"{machine}, section {section}: no fault"
        decibel = log_mel(torch.from_numpy(waveform)[None])[0].numpy()
        examples.append(Example(title, rate, waveform, decibel))
    return examples


def fault_kinds(settings) -> pd.DataFrame:
    """List the kinds of faults of the synthetic machines and the range of their severity; empty for recordings."""
    synthetic, rows = settings.data.synthetic, []
    for machine in synthetic.machines if synthetic else []:
        for kind, fault in faults.FAULTS[machine].items():
            quantity = fault.quantity
            severity = quantity.name, quantity.faint, quantity.clear, quantity.unit
            rows.append((machine, kind.replace("_", " "), fault.family, fault.meaning, *severity))
    columns = ["machine", "kind", "shows in", "what happens", "severity", "from", "to", "unit"]
    return pd.DataFrame(rows, columns=columns).set_index(["machine", "kind"])
