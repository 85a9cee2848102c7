"""Figures and audio players, one module per chapter; they only read tables and arrays and do not compute results."""
