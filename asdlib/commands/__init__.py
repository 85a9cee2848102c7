"""The command line: one module per group of commands, loaded only when one of them runs.

* ``parser``, ``arguments``, ``detector_arguments``: the command line, with the arguments of all commands
* ``experiment``, ``notebook``: ``reproduce``, and ``execute`` for one stage
* ``detector``, ``pages``: ``fit``, ``score``, ``calibrate`` and ``onnx``; ``report`` and ``history``
* ``data``, ``scores``, ``runs``: check and download recordings, work with score files, compare runs
"""
