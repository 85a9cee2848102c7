"""Derive all random seeds of a run from its main seed and the names of the things drawn."""

import numpy as np


def derive(seed: int, *keys: int | str) -> int:
    """Derive a seed below 2^63 from ``seed`` and all ``keys`` (for example machine, section, step).

    >>> derive(0, "fan", 1) == derive(0, "fan", 1), derive(0, "fan", 1) == derive(0, "fan", 2)
    (True, False)
    """
    words = [seed]
    for key in keys:
        data = key.to_bytes(8, "little") if isinstance(key, int) else key.encode()
        words += [len(data), *data]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
