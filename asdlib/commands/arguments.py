"""Define the arguments of the commands for the experiment, its data, score files and runs."""

import argparse
import os
from pathlib import Path

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""CPU cores that this process may use; all cores where the system cannot tell"""
CHANGE = {"action": "extend", "nargs": "+", "default": [], "metavar": "KEY=VALUE"}
"""arguments of the option ``--set``"""
KINDS = "folders or zip archives of official score files, such files, or score tables (CSV)"
YEAR = {"type": int, "choices": range(2020, 2026)}
"""arguments of the option ``--year``"""


def path(text: str) -> Path:
    """Read a path, and replace ``~`` by the home folder, which shells leave alone in ``--out=~/x``."""
    if not text:  # Path would take it for the current folder
        raise argparse.ArgumentTypeError(
            "empty path found; expected a file or folder; is a variable of the shell not set?"
        )
    return Path(os.path.expanduser(text))


def positive(text: str) -> int:
    """Read a whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} found; expected a whole number above 0")
    return int(text)


def add_experiment(commands) -> None:
    """Add the commands that run the experiment."""
    command = commands.add_parser("reproduce", help="run a profile: data, every stage, Table 1, the book")
    command.add_argument("--profile", default="demo", help="name of a file in params/, or a path (default: demo)")
    command.add_argument("--data", type=path, help="folder of recordings, in place of the profile's data.root")
    command.add_argument("--jobs", type=positive, default=CORES, help="number of CPU cores to use (default: all)")
    words = "change settings, for example seed=1 threads=2; put targets before this option"
    command.add_argument("--set", **CHANGE, help=words)
    words = "only print what would run (with --cluster, also the hours it would ask for)"
    command.add_argument("--dry-run", action="store_true", help=words)
    words = "submit the stages to a cluster with this Snakemake profile, for example params/slurm"
    command.add_argument("--cluster", type=path, metavar="FOLDER", help=words)
    command.add_argument("targets", nargs="*", help="Snakemake rules or files to build (default: all)")
    command.set_defaults(command="experiment:reproduce")

    command = commands.add_parser("execute", help="check a stage's parameters and run its notebook with papermill")
    command.add_argument("notebook", type=path, help="notebook to run, for example notebooks/01_data.ipynb")
    command.add_argument("output", type=path, help="file for the executed notebook")
    words = 'parameters of the notebook, for example \'{"params": "demo"}\'; of several objects, later ones win'
    command.add_argument("--parameters", nargs="+", default=[], metavar="JSON", help=words)
    words = "pipe of the command that started this one, with which to end (made by reproduce)"
    command.add_argument("--leader", metavar="PIPE", help=words)
    command.set_defaults(command="notebook:execute")


def add_data(commands) -> None:
    """Add the commands that get and check recordings."""
    data = commands.add_parser("data", help="download recordings, or check a folder of recordings")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    words = "report the contents of a data folder and every problem; exits with 0 if it can be used"
    command = actions.add_parser("check", help=words)
    command.add_argument("folder", type=path, help="the data root, for example data/dcase2021")
    words = "expected sampling rate in Hz (default: 16000)"
    command.add_argument("--sample-rate", type=positive, default=16_000, help=words)
    channels = ["refuse", "first", "mean"]
    words = "what to do with recordings of several channels (default: refuse)"
    command.add_argument("--channels", choices=channels, default="refuse", help=words)
    words = "profile whose stages must be able to use every clip: name of a file in params/, or a path (default: quick)"
    command.add_argument("--profile", default="quick", help=words)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(command="data:check")
    words = "download DCASE2021 Task 2 from Zenodo; run the same command again to resume"
    command = actions.add_parser("download", help=words)
    command.add_argument("folder", type=path, help="the data root, for example data/dcase2021")
    command.add_argument("--machine", action="extend", nargs="+", help="machine types, for example fan (default: all)")
    parts = ["development", "additional", "evaluation"]
    words = "parts of the data set to download (default: development)"
    command.add_argument("--sections", choices=parts, action="extend", nargs="+", help=words)
    words = "address of Zenodo or of a mirror (default: %(default)s)"
    command.add_argument("--address", default="https://zenodo.org", help=words)
    command.set_defaults(command="data:download")


def add_scores(commands) -> None:
    """Add the commands for score files of any system."""
    command = commands.add_parser(
        "evaluate",
        help="compute the official figures of a year for score files: sections, cells, official score",
        description="Compute AUC and pAUC of every section by the rules of the files' challenge (DCASE2020 to 2025), "
        "the harmonic mean of both per machine type and domain, and the official score, in per cent. The paths may "
        "include ground truth files, or folders of them, which label the evaluation clips.",
    )
    command.add_argument("paths", type=path, nargs="+", help=KINDS)
    words = "also compute precision, recall and F1 score, from decision_result files"
    command.add_argument("--decisions", action="store_true", help=words)
    words = "year whose rules apply (default: inferred from the names of files and clips)"
    command.add_argument("--year", **YEAR, help=words)
    words = "also compare with the result.csv next to the scores, and explain the differences"
    command.add_argument("--compare", action="store_true", help=words)
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object with figures as fractions: year, rule, official_score, cells (machine, domain, "
        "value), sections (machine, section, domain, auc, pauc); for several systems "
        '{"systems": {NAME: one such object}}',
    )
    command.set_defaults(command="scores:evaluate")

    words = "combine score files of any systems into the official score files of their ensemble"
    command = commands.add_parser("combine", help=words, description=words[0].upper() + words[1:] + " (Sec. 2.3).")
    command.add_argument("paths", type=path, nargs="+", help=f"{KINDS}, of two systems or more on the same clips")
    command.add_argument(
        "--normalise",
        choices=["test", "train", "rank"],
        default="test",
        help="how to normalise each system's scores: to mean 0 and variance 1 over the section's test clips (default) "
        "or over its training clips (which only score tables include), or replace the scores by ranks",
    )
    by = ["average", "median", "maximum", "ranking"]
    command.add_argument("--by", choices=by, default="average", help="how to combine the systems (default: average)")
    words = "year whose file format to write (default: inferred from the names of files and clips)"
    command.add_argument("--year", **YEAR, help=words)
    command.add_argument("--out", type=path, required=True, help="folder for the score files")
    command.set_defaults(command="scores:combine")

    command = commands.add_parser(
        "export",
        help="write a run's scores, decisions and results as official files",
        description="Write one folder per system: anomaly_score_*.csv and decision_result_*.csv in the format of the "
        "official evaluator, result.csv where clips are labelled, and thresholds.csv.",
    )
    command.add_argument("run", type=path, help="run folder, for example runs/demo")
    command.add_argument("out", type=path, help="folder in which to create one folder per system")
    command.add_argument(
        "--threshold",
        choices=["gamma", "empirical"],
        default="gamma",
        help="set thresholds at a quantile of a gamma distribution fitted to the training scores (official), or of "
        "the scores themselves",
    )
    per = {"choices": ["machine", "section"], "default": "machine"}
    words = "one threshold per machine type (official), or per section and domain"
    command.add_argument("--per", **per, help=words)
    words = "year whose file format to write (default: the year of the run's data)"
    command.add_argument("--year", **YEAR, help=words)
    command.set_defaults(command="scores:export")


def add_runs(commands) -> None:
    """Add the commands that compare runs."""
    command = commands.add_parser(
        "seeds",
        help="average Table 1 over runs that differ only in the seed: mean and standard deviation",
        description="Compute mean and standard deviation of every figure of Table 1 over runs that differ only in the "
        "seed. To add a run: python -m asdlib reproduce table1 --profile demo --set seed=1 runs=runs/seed1. Writes "
        "table1_seeds.csv to the first run, whose book then shows it.",
    )
    command.add_argument("runs", type=path, nargs="+", help="run folders, for example runs/demo runs/seed1/demo")
    command.add_argument("--json", action="store_true", help="print one JSON object with figures as fractions")
    command.set_defaults(command="runs:seeds")

    command = commands.add_parser(
        "ablations",
        help="measure the effect of each changed setting over runs that differ only in the seed",
        description="Compare each candidate with the first candidate of its branch, over runs that differ only in the "
        "seed. To add a run: python -m asdlib reproduce scores --profile ablations --data FOLDER --set seed=1 "
        "runs=runs/seed1. Writes ablations.csv to the first run.",
    )
    command.add_argument("runs", type=path, nargs="+", help="run folders, for example runs/ablations")
    command.set_defaults(command="runs:ablations")

    command = commands.add_parser(
        "compare",
        help="compare Table 1 and the claims of two runs, or of a run and stored tables, cell by cell",
        description="Print 'identical', or the cells that differ and the recorded settings, devices, versions and "
        "commits that may explain it. Exits with 0 if the tables are equal, 1 if they differ, and 2 on invalid input.",
    )
    command.add_argument("first", type=path, metavar="RUN", help="run folder, for example runs/demo")
    words = "another run folder, or stored tables, for example book/results/demo"
    command.add_argument("second", type=path, metavar="RUN-OR-STORED-TABLE", help=words)
    command.set_defaults(command="runs:compare")
