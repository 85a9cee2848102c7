"""Synthesise the embedded demonstration data: synthetic machines, their faults and their factory.

* ``dataset``: the data set as a whole, written as files in the layout of DCASE2021
* ``machines``, ``faults``: what each machine type does, and the kinds and severities of its faults
* ``sounds``: rotation, tones, noise, impacts, the factory and the microphone
* ``conditions``: speed, load and surroundings of a clip, by domain
* ``inspection``: what notebook 01 shows of the faults
"""
