"""Keep the plan of a run in ``plan.json``, so that stages need not list the recordings again."""

import json

from asdlib.atomic import write_json
from asdlib.data import catalogue
from asdlib.data.catalogue import Plan
from asdlib.paths import Run


def write(plan: Plan, settings) -> None:
    """Write the plan to the run folder, with the settings of the data from which it follows."""
    stored = {"data": settings.resolved()["data"], "machines": plan.machines, "outliers": plan.outliers}
    write_json(stored, Run.of(settings).plan)


def read(settings) -> Plan:
    """Return the plan that the run's first stage wrote.

    Without one for these settings, as in a run folder without that stage, it is made from the recordings.

    Raises:
        DataError: The plan has to be made, and the recordings cannot be used.
    """
    path = Run.of(settings).plan
    if path.is_file():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["data"] == settings.resolved()["data"]:
            return Plan(stored["machines"], stored["outliers"])
    return catalogue.plan(settings)
