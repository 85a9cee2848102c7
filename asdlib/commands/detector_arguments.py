"""Define the arguments of the commands for a detector of your own machine."""

from asdlib.commands.arguments import CHANGE, CORES, path, positive

SECTION = "section of the recordings (default: the only one, or the name of their folder)"
CHANGED = "treat the recordings as made under the changed conditions"


def add_training(commands) -> None:
    """Add the command that trains a detector."""
    command = commands.add_parser("fit", help="train a detector on a folder of a machine's normal recordings")
    words = "folder of normal recordings (wav, flac, ogg, mp3, aiff), or of subfolders with them, one per section"
    command.add_argument("folder", type=path, help=words)
    command.add_argument("--out", type=path, required=True, metavar="DETECTOR", help="folder to write the detector to")
    words = "folders of normal recordings of other machines, used as negative examples"
    command.add_argument("--outliers", type=path, action="extend", nargs="+", default=[], metavar="FOLDER", help=words)
    words = "folder of a few normal recordings made under changed conditions"
    command.add_argument("--changed", type=path, metavar="FOLDER", help=words)
    words = "learn only statistics of the spectrum, without networks: takes less than a minute for a hundred recordings"
    command.add_argument("--statistics-only", action="store_true", help=words)
    words = "name of a file in params/, or a path (default: detector)"
    command.add_argument("--profile", default="detector", help=words)
    words = "rate of false alarms to aim for (default: 0.1)"
    rate = "--false-alarm-rate", "--false-alarms"  # score calls it by the first name
    command.add_argument(*rate, dest="false_alarms", type=float, default=0.1, metavar="RATE", help=words)
    words = "how far a recording's level may lie outside the learnt range before it is reported (default: 12)"
    command.add_argument(
        "--level-limit", type=float, default=12.0, metavar="DB", help=f"{words}; 0: the level itself matters"
    )
    words = "number of networks to train in parallel (default: number of cores)"
    command.add_argument("--jobs", type=positive, default=CORES, help=words)
    command.add_argument("--replace", action="store_true", help="overwrite an existing detector")
    words = "also learn from recordings whose names mark them as anomalous"
    command.add_argument("--ignore-names", action="store_true", help=words)
    command.add_argument("--set", **CHANGE, help="change settings, for example seed=1")
    command.set_defaults(command="detector:fit")


def add_judging(commands) -> None:
    """Add the commands that judge recordings with a detector and set its thresholds."""
    words = (
        "score recordings with a detector; exits with 0 if all are normal, 1 if any is not, 2 on an error, 3 if a "
        "level or response changed"
    )
    command = commands.add_parser("score", help=words)
    command.add_argument("detector", type=path, help="folder that fit wrote")
    words = "recordings of at least one second, folders of them, or - to read a list of files from standard input"
    command.add_argument("recordings", type=path, nargs="*", help=words)
    words = "afterwards score each new recording in this folder, until stopped"
    command.add_argument("--watch", type=path, metavar="FOLDER", help=words)
    words = "file in which to store the verdicts on the watched folder (default: next to the folder)"
    command.add_argument("--journal", type=path, metavar="FILE", help=words)
    command.add_argument("--section", help=SECTION)
    command.add_argument("--changed", action="store_true", help=CHANGED)
    words = "rate of false alarms to aim for (default: the detector's)"
    command.add_argument("--false-alarm-rate", type=float, metavar="RATE", help=words)
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", dest="form", action="store_const", const="json", help="print one JSON object per clip")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="print one CSV row per clip")
    command.set_defaults(command="detector:score", form="text")

    words = "set a detector's thresholds from new normal recordings, without training"
    command = commands.add_parser("calibrate", help=words)
    command.add_argument("detector", type=path, help="folder that fit wrote")
    words = "folder of new normal recordings, or of subfolders with them, one per section"
    command.add_argument("folder", type=path, help=words)
    command.add_argument("--out", type=path, metavar="DETECTOR", help="where to write it (default: in place)")
    command.add_argument("--section", help=SECTION)
    command.add_argument("--changed", action="store_true", help=CHANGED)
    words = "also use recordings whose names mark them as anomalous"
    command.add_argument("--ignore-names", action="store_true", help=words)
    command.set_defaults(command="detector:calibrate")


def add_reports(commands) -> None:
    """Add the commands that report on recordings and export a detector."""
    words = "write a page about recordings with sound, spectrogram, anomalous time spans and score"
    command = commands.add_parser("report", help=words)
    command.add_argument("detector", type=path, help="folder that fit wrote")
    words = "recordings, folders of them, or - to read a list of files from standard input"
    command.add_argument("recordings", type=path, nargs="+", help=words)
    words = "file to write: .html (self-contained, with sound) or .png"
    command.add_argument("--out", type=path, required=True, metavar="FILE", help=words)
    command.add_argument("--section", help=SECTION)
    command.add_argument("--changed", action="store_true", help=CHANGED)
    command.set_defaults(command="pages:report")

    command = commands.add_parser("history", help="show verdicts over time, as a table and a plot")
    words = "journals written by score --watch, or output of score --json"
    command.add_argument("journals", type=path, nargs="+", help=words)
    command.add_argument("--out", type=path, required=True, metavar="FILE", help="file to write: .html or .png")
    command.set_defaults(command="pages:history")

    words = "export a detector's networks to ONNX files and compare them with PyTorch"
    command = commands.add_parser("onnx", help=words)
    command.add_argument("detector", type=path, help="folder that fit wrote")
    words = "folder for the files (default: the detector's own, which lets score run without PyTorch)"
    command.add_argument("out", type=path, nargs="?", help=words)
    command.set_defaults(command="detector:export")
