"""Execute the notebook of a stage."""

import json

from asdlib.errors import AsdError
from asdlib.execution import notebooks, process_lifetime


def execute(given) -> int:
    """Check the parameters of a notebook and execute it."""
    values = {}
    for text in given.parameters:
        try:
            more = json.loads(text)
        except json.JSONDecodeError as error:
            raise AsdError(f"--parameters: not valid JSON ({error}); expected an object such as {{}}") from None
        if not isinstance(more, dict):
            raise AsdError(f'--parameters: {text} found; expected an object such as {{}} or {{"params": "demo"}}')
        values |= more
    if given.leader:
        process_lifetime.follow(given.leader)
    seconds = notebooks.execute(given.notebook, given.output, values)
    print(f"{given.output.stem} | done in {seconds:.0f} s", flush=True)
    return 0
