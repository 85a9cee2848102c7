"""Seeds: everything random in a run follows from its seed and the names of what is drawn."""

import numpy as np


def derive(seed: int, *keys: int | str) -> int:
    """A seed that depends on ``seed`` and all ``keys`` (for example machine, section, step), below 2^63.

    >>> derive(0, "fan", 1) == derive(0, "fan", 1), derive(0, "fan", 1) == derive(0, "fan", 2)
    (True, False)
    """
    words = [seed]
    for key in keys:
        data = key.to_bytes(8, "little") if isinstance(key, int) else key.encode()
        words += [len(data), *data]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> 1)
