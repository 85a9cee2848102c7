"""Sec. 3.1: read recordings, from a folder of WAV files to decoded clips."""
