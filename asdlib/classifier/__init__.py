"""Sec. 2.2: the binary classification branch, one model a machine type and section."""
