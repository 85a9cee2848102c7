"""Define the unit of samples: 1/32768 of full scale, so that what 16 bits hold is held exactly."""

FULL_SCALE = 32768
"""samples divided by this give a waveform in -1 to 1"""
