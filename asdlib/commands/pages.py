"""Write pages about recordings and verdicts, which needs matplotlib; scoring does not."""

from asdlib.commands.detector import expand
from asdlib.detector import history as verdicts
from asdlib.detector import report as pages
from asdlib.detector.judge import Judge


def report(arguments) -> int:
    """Write a page about recordings."""
    clips = expand(arguments.recordings)
    judged = pages.report(Judge.load(arguments.detector), clips, arguments.out, arguments.section, arguments.changed)
    print(arguments.out)
    return 0 if judged == len(clips) else 2


def history(arguments) -> int:
    """Print and plot verdicts over time, and say whether they have drifted."""
    days, sentences = verdicts.history(arguments.journals, arguments.out)
    print(days.round(2).to_string(index=False), *sentences, arguments.out, sep="\n")
    return 0
