"""Train and use a detector."""

from asdlib.detector import commands
from asdlib.detector import report as pages
from asdlib.detector.judge import Judge
from asdlib.params.settings import assignments


def fit(given) -> int:
    """Train a detector and print its card."""
    card = commands.fit(
        given.folder,
        given.out,
        changed=given.changed,
        outliers=given.outliers,
        profile=given.profile,
        false_alarm_rate=given.false_alarms,
        level_limit=given.level_limit,
        overrides=assignments(given.set),
        jobs=given.jobs,
        replace=given.replace,
        ignore_names=given.ignore_names,
    )
    print(card.read_text(encoding="utf-8"))
    return 0


def score(given) -> int:
    """Print the verdicts on recordings."""
    return commands.score(
        given.detector,
        given.recordings,
        folder=given.watch,
        journal=given.journal,
        section=given.section,
        changed=given.changed,
        form=given.form,
        false_alarm_rate=given.false_alarm_rate,
    )


def calibrate(given) -> int:
    """Set a detector's thresholds and print its card."""
    card = commands.calibrate(
        given.detector,
        given.folder,
        given.out,
        section=given.section,
        changed=given.changed,
        ignore_names=given.ignore_names,
    )
    print(card.read_text(encoding="utf-8"))
    return 0


def report(given) -> int:
    """Write a page about recordings."""
    clips = commands.expand(given.recordings)
    judged = pages.report(Judge.load(given.detector), clips, given.out, given.section, given.changed)
    print(given.out)
    return 0 if judged == len(clips) else 2


def history(given) -> int:
    """Print and plot verdicts over time."""
    print(pages.history(given.journals, given.out).round(2).to_string(index=False))
    print(given.out)
    return 0


def export(given) -> int:
    """Write a detector's networks to ONNX files."""
    from asdlib.detector import onnx  # needs PyTorch, without which the other commands work

    print(*onnx.export(given.detector, given.out), sep="\n")
    return 0
