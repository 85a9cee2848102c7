"""Tell the output of parallel jobs apart."""

import io
import sys


class Prefixed(io.TextIOBase):
    """Text stream that forwards whole lines to standard output with a prefix, to tell parallel jobs apart."""

    def __init__(self, prefix: str):
        self.prefix, self.rest = prefix, ""

    def write(self, text: str) -> int:
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if line.strip():
                print(f"{self.prefix} | {line}", file=sys.__stdout__, flush=True)
        return len(text)

    def close(self) -> None:
        if not self.closed and self.rest:
            self.write("\n")
        super().close()
