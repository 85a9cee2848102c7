"""``python -m asdlib``: the commands. Heavy libraries are imported by the command that needs them."""

import argparse
import gc
import json
import os
import sys
from pathlib import Path

import asdlib
from asdlib import AsdError


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 on success, 1 if what was checked or run failed, 2 for input that cannot be used."""
    given = parser().parse_args(arguments)
    try:
        return given.command(given)
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("asdlib", *sys.stdlib_module_names):
            raise
        print(f"error: this command needs the package {error.name}; pip install 'asdlib[all]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


class _Command(argparse.ArgumentParser):
    """The arguments of one command; options may stand before, between and after the others."""

    _intermixed = False

    def parse_known_args(self, args=None, namespace=None):
        if self._intermixed or any(action.nargs == argparse.PARSER for action in self._actions):
            return super().parse_known_args(args, namespace)
        self._intermixed = True  # for the calls that follow from this one
        try:
            return super().parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False


def parser() -> argparse.ArgumentParser:
    """The command line, with its help."""
    top = argparse.ArgumentParser(prog="python -m asdlib", description=asdlib.__doc__.splitlines()[0])
    top.add_argument("--version", action="version", version=asdlib.__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND", parser_class=_Command)

    command = commands.add_parser("reproduce", help="run a profile: data, every stage, Table 1, the book")
    command.add_argument("--profile", default="demo", help="name of a file in params/, or a path (default: demo)")
    command.add_argument("--data", help="folder of recordings, in place of the profile's data.root")
    # Where the system cannot say which cores are ours, all are.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    command.add_argument("--jobs", type=_positive, default=cores, help="processor cores (default: all)")
    change = {"action": "extend", "nargs": "+", "default": [], "metavar": "KEY=VALUE"}
    command.add_argument("--set", **change, help="change settings, for example seed=1 threads=2; targets come before")
    command.add_argument("--dry-run", action="store_true", help="only say what would run; on a cluster, with hours")
    words = "run the stages on a cluster, as this profile of Snakemake says, for example params/slurm"
    command.add_argument("--cluster", type=Path, metavar="FOLDER", help=words)
    command.add_argument("targets", nargs="*", help="rules or files to make (default: all)")
    command.set_defaults(command=_reproduce)

    command = commands.add_parser("execute", help="execute one stage's notebook with papermill, parameters checked")
    command.add_argument("notebook", type=Path)
    command.add_argument("output", type=Path, help="the executed notebook")
    command.add_argument("--parameters", default="{}", metavar="JSON", help='for example \'{"params": "demo"}\'')
    command.set_defaults(command=_execute)

    command = commands.add_parser("fit", help="make a detector from a folder of a machine's normal recordings")
    words = "recordings of normal sound (wav, flac, ogg, mp3, aiff), or sub-folders of them, one per section"
    command.add_argument("folder", type=Path, help=words)
    command.add_argument("--out", type=Path, required=True, metavar="DETECTOR", help="folder to write the detector to")
    words = "folders of normal recordings of other machines, used as negative examples"
    command.add_argument("--outliers", type=Path, action="extend", nargs="+", default=[], metavar="FOLDER", help=words)
    command.add_argument("--changed", type=Path, metavar="FOLDER", help="a few recordings under changed conditions")
    command.add_argument("--profile", default="detector", help="name of a file in params/, or a path (default: detector)")
    command.add_argument("--false-alarms", type=float, default=0.1, metavar="RATE", help="aimed at (default: 0.1)")
    words = "how far a recording's level may lie outside of what was learnt without meaning anything (default: 12)"
    command.add_argument(
        "--level-limit", type=float, default=12.0, metavar="DB", help=f"{words}; 0: it means something"
    )
    command.add_argument("--jobs", type=_positive, default=cores, help="networks trained at a time (default: cores)")
    command.add_argument("--replace", action="store_true", help="replace the detector that is there")
    words = "learn also from recordings whose names say that they are anomalous"
    command.add_argument("--ignore-names", action="store_true", help=words)
    command.add_argument("--set", **change, help="change settings, for example seed=1")
    command.set_defaults(command=_fit)

    words = (
        "judge recordings with a detector; 0 if all are normal, 1 if one is not, 2 on an error, 3 if a level changed"
    )
    command = commands.add_parser("score", help=words)
    command.add_argument("detector", type=Path)
    words = "recordings of any length from a second on, folders of them, or - for a list of files on standard input"
    command.add_argument("recordings", type=Path, nargs="*", help=words)
    command.add_argument("--watch", type=Path, metavar="FOLDER", help="then judge what appears there, until stopped")
    words = "file for the verdicts on the watched folder (default: next to the folder)"
    command.add_argument("--journal", type=Path, metavar="FILE", help=words)
    command.add_argument("--section", help="of the recordings (default: the only one, or their folder's name)")
    command.add_argument("--changed", action="store_true", help="they were recorded under the changed conditions")
    words = "rate of false alarms to aim at (default: that of the detector)"
    command.add_argument("--false-alarm-rate", type=float, metavar="RATE", help=words)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="print a JSON object per clip")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="print a CSV row per clip")
    command.set_defaults(command=_score, form="text")

    command = commands.add_parser("calibrate", help="set a detector's thresholds on new normal recordings; no training")
    command.add_argument("detector", type=Path)
    command.add_argument("folder", type=Path, help="new normal recordings, or sub-folders of them, one per section")
    command.add_argument("--out", type=Path, metavar="DETECTOR", help="where to write it (default: in place)")
    command.add_argument("--section", help="of the recordings (default: the only one, or their folder's name)")
    command.add_argument("--changed", action="store_true", help="they were recorded under the changed conditions")
    words = "use also recordings whose names say that they are anomalous"
    command.add_argument("--ignore-names", action="store_true", help=words)
    command.set_defaults(command=_calibrate)

    command = commands.add_parser("report", help="write a page about recordings: sound, spectrogram, spans, score")
    command.add_argument("detector", type=Path)
    command.add_argument("recordings", type=Path, nargs="+", help="recordings, folders of them, or - as in score")
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help=".html (with sound, offline) or .png")
    command.add_argument("--section", help="of the recordings (default: the only one, or their folder's name)")
    command.add_argument("--changed", action="store_true", help="they were recorded under the changed conditions")
    command.set_defaults(command=_report)

    command = commands.add_parser("history", help="show verdicts over the days, as a table and a plot")
    words = "journals of score --watch, or outputs of score --json"
    command.add_argument("journals", type=Path, nargs="+", help=words)
    command.add_argument("--out", type=Path, required=True, metavar="FILE", help=".html or .png")
    command.set_defaults(command=_history)

    command = commands.add_parser("onnx", help="write a detector's networks as ONNX files, compared with PyTorch")
    command.add_argument("detector", type=Path)
    words = "folder for the files (default: in the detector's, and score then does without PyTorch)"
    command.add_argument("out", type=Path, nargs="?", help=words)
    command.set_defaults(command=_onnx)

    data = commands.add_parser("data", help="download recordings, look at a folder of them")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    command = actions.add_parser("check", help="report what a data folder holds and every problem; 0 if it can be used")
    command.add_argument("folder", type=Path)
    command.add_argument("--sample-rate", type=_positive, default=16_000, help="expected, in Hz (default: 16000)")
    channels = ["refuse", "first", "mean"]
    command.add_argument("--channels", choices=channels, default="refuse", help="what to do with several channels")
    words = "profile whose stages must be able to use every clip: a name in params/, or a path (default: quick)"
    command.add_argument("--profile", default="quick", help=words)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command=_check)
    command = actions.add_parser("download", help="fetch DCASE2021 Task 2 from Zenodo; the same command goes on")
    command.add_argument("folder", type=Path, help="the data root, for example data/dcase2021")
    command.add_argument("--machine", action="extend", nargs="+", help="machine types, for example fan (default: all)")
    parts = ["development", "additional", "evaluation"]
    command.add_argument("--sections", choices=parts, action="extend", nargs="+", help="(default: development)")
    command.add_argument("--address", default="https://zenodo.org", help="of Zenodo or a mirror (default: %(default)s)")
    command.set_defaults(command=_download)

    kinds = "folders or zip archives of official score files, such files, or score tables (CSV)"
    by_year = {"type": int, "choices": range(2020, 2026)}
    command = commands.add_parser(
        "evaluate",
        help="each year's official figures for score files: sections, cells, official score",
        description="AUC and pAUC of every section by the rule of the challenge that the files are of (DCASE2020 to "
        "2025), the harmonic mean of both per machine type and domain, and the official score, in per cent. Ground "
        "truth files, or folders of them, may be among the paths; they label the evaluation clips.",
    )
    command.add_argument("paths", type=Path, nargs="+", help=kinds)
    words = "also precision, recall and F1 score, from decision_result files"
    command.add_argument("--decisions", action="store_true", help=words)
    words = "whose rule counts (default: the year that the names of files and clips tell)"
    command.add_argument("--year", **by_year, help=words)
    words = "also compare with the result.csv next to the scores, and explain what differs"
    command.add_argument("--compare", action="store_true", help=words)
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object, in fractions: year, rule, official_score, cells (machine, domain, value), "
        'sections (machine, section, domain, auc, pauc); for several systems {"systems": {NAME: such an object}}',
    )
    command.set_defaults(command=_evaluate)

    command = commands.add_parser(
        "seeds",
        help="Table 1 over runs that differ in the seed only: mean and deviation",
        description="Mean and standard deviation of every figure of Table 1 over runs that differ in the seed only. "
        "Another run: python -m asdlib reproduce table1 --profile demo --set seed=1 runs=runs/seed1. Writes "
        "table1_seeds.csv to the first run, whose book then shows it.",
    )
    command.add_argument("runs", type=Path, nargs="+", help="run folders, for example runs/demo runs/seed1/demo")
    command.add_argument("--json", action="store_true", help="print one JSON object, in fractions")
    command.set_defaults(command=_seeds)

    command = commands.add_parser(
        "ablations",
        help="what each changed setting does, over runs that differ in the seed only",
        description="Compare the candidates of runs that differ in the seed only, each with the first candidate of its "
        "branch. A run: python -m asdlib reproduce scores --profile ablations --data FOLDER --set seed=1 "
        "runs=runs/seed1. Writes ablations.csv to the first run.",
    )
    command.add_argument("runs", type=Path, nargs="+", help="run folders, for example runs/ablations")
    command.set_defaults(command=_ablations)

    words = "ensemble score files of any systems into official score files"
    command = commands.add_parser("combine", help=words, description=words[0].upper() + words[1:] + " (Sec. 2.3).")
    command.add_argument("paths", type=Path, nargs="+", help=f"{kinds}, of two systems or more on the same clips")
    command.add_argument(
        "--normalise",
        choices=["test", "train", "rank"],
        default="test",
        help="mean 0 and variance 1 over the section's test clips (default) or its training clips (score tables have "
        "them), or ranks in place of scores",
    )
    by = ["average", "median", "maximum", "ranking"]
    command.add_argument("--by", choices=by, default="average", help="how systems become one (default: average)")
    words = "whose files are written (default: the year that the names of files and clips tell)"
    command.add_argument("--year", **by_year, help=words)
    command.add_argument("--out", type=Path, required=True, help="folder for the score files")
    command.set_defaults(command=_combine)

    command = commands.add_parser(
        "export",
        help="write a run's scores, decisions and results as official files",
        description="A folder a system: anomaly_score_*.csv and decision_result_*.csv as the official evaluator reads "
        "them, result.csv where clips are labelled, and thresholds.csv.",
    )
    command.add_argument("run", type=Path, help="run folder, for example runs/demo")
    command.add_argument("out", type=Path, help="folder for the folders")
    command.add_argument(
        "--threshold",
        choices=["gamma", "empirical"],
        default="gamma",
        help="quantile of a gamma distribution of the training scores (official), or of the scores themselves",
    )
    per = {"choices": ["machine", "section"], "default": "machine"}
    command.add_argument("--per", **per, help="a threshold a machine type (official), or a section and domain")
    words = "whose files are written (default: the year that the run's data are of)"
    command.add_argument("--year", **by_year, help=words)
    command.set_defaults(command=_export)
    return top


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} found; expected a whole number above 0")
    return int(text)


def _overrides(pairs: list[str]) -> dict:
    from asdlib import params

    overrides = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise AsdError(f"--set {pair}: expected KEY=VALUE, for example --set seed=1")
        overrides[key] = params.value(value)
    return overrides


def _reproduce(given) -> int:
    from asdlib.reproduce import reproduce

    overrides = _overrides(given.set)
    if given.data:
        overrides |= {"data.root": str(Path(given.data)), "data.synthetic": None}
    return reproduce(given.profile, overrides, given.jobs, given.dry_run, given.targets, given.cluster)


def _execute(given) -> int:
    from asdlib.notebooks import execute

    try:
        values = json.loads(given.parameters)
    except json.JSONDecodeError as error:
        raise AsdError(f"--parameters: not valid JSON ({error}); expected an object such as {{}}") from None
    seconds = execute(given.notebook, given.output, values)
    print(f"{given.output.stem} | done in {seconds:.0f} s", flush=True)
    return 0


def _fit(given) -> int:
    from asdlib.detector import commands

    card = commands.fit(
        given.folder,
        given.out,
        changed=given.changed,
        outliers=given.outliers,
        profile=given.profile,
        false_alarm_rate=given.false_alarms,
        level_limit=given.level_limit,
        overrides=_overrides(given.set),
        jobs=given.jobs,
        replace=given.replace,
        ignore_names=given.ignore_names,
    )
    print(card.read_text(encoding="utf-8"))
    return 0


def _score(given) -> int:
    gc.disable()  # until the detector is loaded: imports leave no garbage; to look for some takes a fifth of the time
    try:
        from asdlib.detector import commands

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
    finally:
        gc.enable()


def _calibrate(given) -> int:
    from asdlib.detector import commands

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


def _report(given) -> int:
    from asdlib.detector import commands, report
    from asdlib.detector.judge import Judge

    clips = commands.expanded(given.recordings)
    judged = report.report(Judge.load(given.detector), clips, given.out, given.section, given.changed)
    print(given.out)
    return 0 if judged == len(clips) else 2


def _history(given) -> int:
    from asdlib.detector import report

    print(report.history(given.journals, given.out).round(2).to_string(index=False))
    print(given.out)
    return 0


def _onnx(given) -> int:
    from asdlib.detector import onnx

    print(*onnx.export(given.detector, given.out), sep="\n")
    return 0


def _check(given) -> int:
    from asdlib import data, params

    settings = params.Data(root=str(given.folder), sample_rate=given.sample_rate, channels=given.channels)
    report = data.check(given.folder, settings, data.shortest(params.load(given.profile)))
    print(json.dumps(report, indent=2) if given.json else data.describe(report))
    return 0 if report["usable"] else 1


def _download(given) -> int:
    from asdlib.data import download, names

    machines, parts = given.machine or names.MACHINES, given.sections or ["development"]
    download.download(given.folder, list(dict.fromkeys(machines)), list(dict.fromkeys(parts)), given.address)
    print(given.folder)
    return 0


def _evaluate(given) -> int:
    from asdlib.challenge.evaluate import describe, evaluate

    result = evaluate(given.paths, decisions=given.decisions, year=given.year, compare=given.compare)
    print(json.dumps(result, indent=2) if given.json else describe(result))
    return 0


def _ablations(given) -> int:
    from asdlib.evaluation import ablations

    print(ablations.describe(ablations.over_seeds(given.runs)))
    return 0


def _seeds(given) -> int:
    from asdlib.evaluation import seeds

    table = seeds.over_seeds(given.runs)
    print(json.dumps({"figures": table.to_dict("records")}, indent=2) if given.json else seeds.describe(table))
    return 0


def _combine(given) -> int:
    from asdlib.challenge.combine import combine

    combine(given.paths, normalise=given.normalise, by=given.by, out=given.out, year=given.year)
    print(given.out)
    return 0


def _export(given) -> int:
    from asdlib.challenge.export import export

    export(given.run, given.out, given.threshold, given.per, given.year)
    print(given.out)
    return 0


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # names on disk may be no text
    sys.exit(main())
