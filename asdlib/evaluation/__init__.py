"""Evaluate a run (Sec. 3): Table 1 with intervals, the audit of the printed table, claims, decisions and ablations.

* ``table1``, ``rows``, ``render``, ``render_html``: Table 1, "the harmonic mean of AUC [%] and pAUC"
* ``paper``: the printed table
* ``bootstrap``, ``repeated``, ``seeds``: intervals, with the selection repeated, and the spread over seeds
* ``claims``, ``claims_paper``, ``claims_extensions``: Sec. 1, 3.2 and 4, judged by intervals
* ``decision``, ``empirical``, ``false_alarms``: thresholds with a known rate of false alarms
* ``ablations``, ``compare``, ``followed``, ``health``, ``values``: what the book reports apart from that
"""
