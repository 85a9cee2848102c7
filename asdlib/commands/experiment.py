"""Run the experiment."""

from pathlib import Path

from asdlib.execution import reproduce as execution
from asdlib.params.settings import assignments


def reproduce(given) -> int:
    """Run a profile."""
    overrides = assignments(given.set)
    if given.data:
        overrides |= {"data.root": str(Path(given.data)), "data.synthetic": None}
    return execution.reproduce(given.profile, overrides, given.jobs, given.dry_run, given.targets, given.cluster)
