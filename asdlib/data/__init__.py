"""Sec. 3.1: the recordings, from a folder of WAV files to decoded clips."""
