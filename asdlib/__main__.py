"""Run ``python -m asdlib``. Each command loads only the modules that it needs (:mod:`asdlib.commands`)."""

import errno
import importlib
import os
import signal
import sys
import traceback

from asdlib.commands.parser import parser
from asdlib.errors import AsdError


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Returns:
        0 on success, 1 if the check or the run failed, 2 if the input cannot be used.
    """
    chosen = parser().parse_args(arguments)
    module, _, name = chosen.command.partition(":")
    try:
        code = getattr(importlib.import_module(f"asdlib.commands.{module}"), name)(chosen)
        sys.stdout.flush()
        return code
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("asdlib", *sys.stdlib_module_names):
            raise
        print(f"error: this command needs the package {error.name}; pip install 'asdlib[all]'", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output closed it, as `| head` does
        _discard_output()
        return 128 + signal.SIGPIPE  # as a shell reports it; 1 would be the verdict of `score`
    except OSError as error:
        if error.filename is not None:
            remedy = "change its permissions" if isinstance(error, PermissionError) else "correct it"
            sentence = f"{error.filename}: {error.strerror.lower()}; {remedy} or choose another file or folder"
        elif error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            _discard_output()
            sentence = f"the output cannot be written ({error.strerror.lower()}); free some space, then run it again"
        else:  # not about a file
            raise
        print(f"error: {sentence}", file=sys.stderr)
        return 2


def _discard_output() -> None:
    """Send the rest of the output, which Python writes when it ends, to nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_standard_streams() -> None:
    """Connect standard streams that a service manager closed to nowhere, so that no other file takes their place."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:
        name = ("stdin", "stdout", "stderr")[number]
        setattr(sys, name, open(number, "w" if number else "r"))
    os.close(number)


if __name__ == "__main__":
    _open_standard_streams()
    sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be valid Unicode
    os.environ["MPLBACKEND"] = "agg"  # commands only write figures to files, whatever windows a user prefers
    try:
        sys.exit(main())
    except Exception:
        traceback.print_exc()
        sys.exit(2)  # 1 would be the verdict of `score`
