"""Define the command line: its parser, and the groups of commands in the order of ``--help``."""

import argparse

import asdlib
from asdlib.commands import arguments, detector_arguments
from asdlib.messages import suggest


class Command(argparse.ArgumentParser):
    """Parser for the arguments of one command, with options allowed before, between and after positional ones."""

    _intermixed = False

    def parse_known_args(self, args=None, namespace=None):
        if self._intermixed or any(action.nargs == argparse.PARSER for action in self._actions):
            return super().parse_known_args(args, namespace)
        self._intermixed = True  # the call below comes back here
        try:
            namespace, unknown = super().parse_known_intermixed_args(args, namespace)
        finally:
            self._intermixed = False
        if unknown:  # here the error shows the usage of this command, and not only that there are commands
            options = [option for option in self._option_string_actions if option.startswith("--")]
            self.error(f"unknown argument: {' '.join(unknown)}{suggest(unknown[0], options)}")
        return namespace, unknown

    def error(self, message: str):
        """Say so where an option with several values may have taken what is missing."""
        several = [
            action.option_strings[-1] for action in self._actions if action.option_strings and action.nargs == "+"
        ]
        if message.startswith("the following arguments are required") and several:
            message += f"; {' and '.join(several)} take all words that follow, so give other arguments before them"
        super().error(message)


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line.

    The result of parsing has an attribute ``command``: ``<module of asdlib.commands>:<function>``.
    """
    top = argparse.ArgumentParser(
        prog="python -m asdlib", description=(asdlib.__doc__ or "").partition("\n")[0]
    )  # no docstring under -OO
    top.add_argument("--version", action="version", version=asdlib.__version__)
    commands = top.add_subparsers(required=True, metavar="COMMAND", parser_class=Command)
    arguments.add_experiment(commands)
    detector_arguments.add_training(commands)
    detector_arguments.add_judging(commands)
    detector_arguments.add_reports(commands)
    arguments.add_data(commands)
    arguments.add_scores(commands)
    arguments.add_runs(commands)
    return top
