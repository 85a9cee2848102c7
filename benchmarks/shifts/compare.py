import sys
from pathlib import Path

import numpy as np
import pandas as pd

from asdlib.data import roles
from asdlib.metrics import areas, harmonic_mean
from asdlib.gaussian import Gaussian
from candidates import Section, hypotheses, left_out, nearest
from clip_features import HELD_OUT

KEYS = ("mean", "dev", "q10", "q50", "q90", "gwrp99", "gwrp95", "difference", "modulation")


def sections(folder: Path, name: str, seed: int):
    clips = pd.read_csv(folder / f"{name}.csv", dtype=str)
    found = dict(np.load(folder / f"{name}.npz"))
    shift = folder / f"{name}_shift_{seed}.npz"
    made = dict(np.load(shift)) if shift.exists() else None
    role = roles.roles(clips, HELD_OUT, seed)
    for section, part in clips.groupby("section"):
        rows = part.index.to_numpy()
        train = (part["split"] == "train").to_numpy()
        source = (part["domain"] == "source").to_numpy()
        learn, held = rows[train & source & (role[rows] == roles.LEARN)], rows[train & source & (role[rows] == roles.HELD_OUT)]
        pick = lambda index: {key: found[key][index] for key in (*KEYS, "within")}
        tests = {d: rows[~train & (part["domain"] == d).to_numpy()] for d in ("source", "target")}
        pseudo = {}
        if made:
            order = rows[train & source]
            is_learn = np.isin(order, learn)
            for key, values in made.items():
                which, without, feature = key.split("/")
                if which == section and feature != "shift":
                    without = without if without == "none" else int(without)
                    pseudo.setdefault(without, {})[feature] = (values[is_learn], values[~is_learn])
        state = Section(pick(learn), pick(held), pick(rows[train & ~source]), pseudo, np.random.default_rng([seed, int(section)]))
        yield section, state, {d: (pick(t), (clips["label"][t] == "anomaly").to_numpy()) for d, t in tests.items()}


def hm(units):
    return 100 * float(harmonic_mean(np.array(units)))


def zscores(gaussian, reference, tests):
    ref = gaussian.distance(reference)
    return (gaussian.distance(tests) - ref.mean()) / ref.std()
