"""Figures and audio players, one module per chapter; they only read tables and arrays and do not compute results.

* ``data``, ``autoencoder``, ``classifier``, ``ensemble``, ``baselines``, ``evaluation``: the paper's sections
* ``ablations``, ``followed``, ``scaling``: effects of settings, clips followed through the system, and costs
* ``integrated``, ``detector``, ``playground``, ``systems``: figures of what is ours, not the paper's
* ``style``, ``mel_axis``: colours, and frequencies along mel bands
* ``points``, ``sound``: points that name and play their clip, and audio players
"""
