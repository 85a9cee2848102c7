"""Sec. 3: metrics, Table 1 with intervals, the audit of the printed table, claims, and the challenge's files."""
