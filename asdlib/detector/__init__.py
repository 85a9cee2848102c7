"""Detect anomalous sounds of your own machine, after learning from normal recordings only; the paper lacks this.

* ``detector``, ``train``: a detector, and its training
* ``make``, ``recalibrate``, ``reference``, ``store``, ``description``, ``card``: its folder and model card
* ``recordings``, ``sources``, ``inputs``, ``layout``, ``survey``, ``overlap``, ``cutting``: recordings
* ``level``, ``response``: a changed level or microphone, which is not a fault
* ``networks``, ``pytorch``, ``onnx``, ``runtime``: the trained networks of both branches
* ``judge``, ``calibration``, ``localize``, ``statistics``, ``watch``: scores, decisions, and where a sound is wrong
* ``output``, ``page``, ``report``, ``history``, ``estimate``: what the commands print (:mod:`asdlib.commands.detector`)
"""
