"""Train and use a detector."""

from asdlib.detector import commands
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
        statistics_only=arguments.statistics_only,
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


def export(arguments) -> int:
    """Write a detector's networks to ONNX files."""
    from asdlib.detector import onnx  # needs PyTorch, without which the other commands work

    print(*onnx.export(arguments.detector, arguments.out), sep="\n")
    return 0
