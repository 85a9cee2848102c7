"""Run ``python -m asdlib``. Each command loads only the modules that it needs (:mod:`asdlib.commands`)."""

import importlib
import os
import sys

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
        return getattr(importlib.import_module(f"asdlib.commands.{module}"), name)(chosen)
    except AsdError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("asdlib", *sys.stdlib_module_names):
            raise
        print(f"error: this command needs the package {error.name}; pip install 'asdlib[all]'", file=sys.stderr)
        return 2
    except PermissionError as error:
        if error.filename is None:  # not about a file
            raise
        print(
            f"error: {error.filename}: {error.strerror.lower()}; change its permissions or choose another folder",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("stopped; run the same command again to resume", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output closed it, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # file names need not be valid Unicode
    sys.exit(main())
