"""Figures and audio players, one module a chapter; they read tables and arrays and compute nothing."""
