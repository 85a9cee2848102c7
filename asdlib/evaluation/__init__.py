"""Evaluate a run (Sec. 3): Table 1 with intervals, the audit of the printed table, claims, decisions and ablations."""
