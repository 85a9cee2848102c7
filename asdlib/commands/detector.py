"""Train and use a detector."""

from asdlib.detector import commands
from asdlib.detector import report as pages
from asdlib.detector.judge import Judge
from asdlib.params.settings import assignments


def fit(arguments) -> int:
    """Train a detector and print its card."""
    card = commands.fit(
        arguments.folder,
        arguments.out,
        changed=arguments.changed,
        outliers=arguments.outliers,
        profile=arguments.profile,
        false_alarm_rate=arguments.false_alarms,
        level_limit=arguments.level_limit,
        overrides=assignments(arguments.set),
        jobs=arguments.jobs,
        replace=arguments.replace,
        ignore_names=arguments.ignore_names,
    )
    print(card.read_text(encoding="utf-8"))
    return 0


def score(arguments) -> int:
    """Print the verdicts on recordings."""
    return commands.score(
        arguments.detector,
        arguments.recordings,
        folder=arguments.watch,
        journal=arguments.journal,
        section=arguments.section,
        changed=arguments.changed,
        form=arguments.form,
        false_alarm_rate=arguments.false_alarm_rate,
    )


def calibrate(arguments) -> int:
    """Set a detector's thresholds and print its card."""
    card = commands.calibrate(
        arguments.detector,
        arguments.folder,
        arguments.out,
        section=arguments.section,
        changed=arguments.changed,
        ignore_names=arguments.ignore_names,
    )
    print(card.read_text(encoding="utf-8"))
    return 0


def report(arguments) -> int:
    """Write a page about recordings."""
    clips = commands.expand(arguments.recordings)
    judged = pages.report(Judge.load(arguments.detector), clips, arguments.out, arguments.section, arguments.changed)
    print(arguments.out)
    return 0 if judged == len(clips) else 2


def history(arguments) -> int:
    """Print and plot verdicts over time."""
    print(pages.history(arguments.journals, arguments.out).round(2).to_string(index=False))
    print(arguments.out)
    return 0


def export(arguments) -> int:
    """Write a detector's networks to ONNX files."""
    from asdlib.detector import onnx  # needs PyTorch, without which the other commands work

    print(*onnx.export(arguments.detector, arguments.out), sep="\n")
    return 0
