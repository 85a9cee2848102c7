"""Execute the notebook of a stage."""

import json

from asdlib.errors import AsdError
from asdlib.execution import notebooks, process_lifetime


def execute(arguments) -> int:
    """Check the parameters of a notebook and execute it."""
    values = {}
    for text in arguments.parameters:
        try:
            more = json.loads(text)
        except json.JSONDecodeError as error:
            raise AsdError(f"--parameters: not valid JSON ({error}); expected an object such as {{}}") from None
        if not isinstance(more, dict):
            raise AsdError(f'--parameters: {text} found; expected an object such as {{}} or {{"params": "demo"}}')
        values |= more
    if arguments.leader:
        process_lifetime.follow(arguments.leader)
    seconds = notebooks.execute(arguments.notebook, arguments.output, values)
    print(f"{arguments.output.stem} | done in {seconds:.0f} s", flush=True)
    return 0
