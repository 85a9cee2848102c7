"""The faults of the synthetic machines and how severe they get, from barely audible to clear.

What a severity scales stands in :mod:`asdlib.data.machines`. The ranges were set so that a Mahalanobis distance on the
log-mel's mean and deviation finds each machine type's faults neither at chance nor always; no model was tuned to them.
"""

FAULTS: dict[str, dict[str, tuple[float, float]]] = {
    "ToyCar": {
        "bent_shaft": (0.12, 0.9),  # the gears' level swings with the wheel
        "damaged_gear": (0.4, 3.0),  # impacts twice a turn of the wheel
        "tangled_wheel": (0.1, 0.8),  # something rubs, once a turn
    },
    "ToyTrain": {
        "damaged_rail": (0.7, 5.0),  # each axle strikes one place of the lap
        "flat_wheel": (0.4, 3.0),  # an impact each turn of the wheel
        "worn_brushes": (0.025, 0.2),  # sparks: noise of high frequency
    },
    "fan": {
        "imbalance": (0.1, 0.8),  # a tone at the shaft's rate, which also modulates the flow
        "bearing_impacts": (0.1, 0.8),  # balls pass a dent in the outer race
        "clogging": (0.06, 0.45),  # a duller flow, louder blades
    },
    "gearbox": {
        "chipped_tooth": (0.25, 2.5),  # an impact each turn of the shaft
        "bearing_impacts": (0.08, 0.8),  # balls pass a dent in the inner race
        "wear": (0.06, 0.6),  # stronger harmonics and sidebands of the mesh
    },
    "pump": {
        "leak": (0.05, 0.45),  # hiss of high frequency
        "clogging": (0.03, 0.25),  # slower, harder strokes and a duller flow
        "cavitation": (0.2, 1.6),  # bubbles collapse
    },
    "slider": {
        "damaged_rail": (0.8, 6.0),  # an impact at one place of each stroke
        "stick_slip": (0.1, 1.2),  # squeal at low speed
        "dry_rail": (0.05, 0.45),  # louder and brighter rolling
    },
    "valve": {
        "leak": (0.005, 0.07),  # hiss while closed
        "sticking": (0.15, 0.85),  # weaker strokes, closing late
        "contamination": (0.03, 0.3),  # duller, shorter clicks and a bounce
    },
}
"""Machine type to fault to the range of its severity."""


def fault(machine: str, number: int) -> str:
    """The fault of the machine type's anomalous clip ``number``: each in turn."""
    kinds = list(FAULTS[machine])
    return kinds[number % len(kinds)]
