"""Run the experiment."""

from pathlib import Path

from asdlib.execution import reproduce as execution
from asdlib.params.settings import assignments


def reproduce(arguments) -> int:
    """Run a profile."""
    overrides = assignments(arguments.set)
    if arguments.data:
        overrides |= {"data.root": str(Path(arguments.data)), "data.synthetic": None}
    return execution.reproduce(
        arguments.profile, overrides, arguments.jobs, arguments.dry_run, arguments.targets, arguments.cluster
    )
