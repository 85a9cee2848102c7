"""Synthesise the embedded demonstration data: synthetic machines, their faults and their factory."""
