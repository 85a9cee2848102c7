"""Say how long the stages of the run took, for those who want to try a change."""

import costs
import numpy as np
from executed import Executed, seconds

from asdlib.execution.workflow import BY_NAME
from asdlib.paths import Run


def values(run: Run) -> dict[str, str]:
    """Time of one notebook of each stage of the run on average, in words, by the rule of the stage; and of all."""
    found: dict[str, list[float]] = {}
    notebooks = []
    for path in sorted((run.folder / "notebooks").glob("*.ipynb")):
        item = Executed.of(path)
        if item.stage in BY_NAME:
            notebooks.append(item.read())
            found.setdefault(BY_NAME[item.stage].rule, []).append(seconds(notebooks[-1]))
    words = {rule: f"about {costs.duration(float(np.mean(spent)))}" for rule, spent in found.items()}
    return words | {"all": f"about {costs.duration(costs.wall(notebooks)[0])}"}
