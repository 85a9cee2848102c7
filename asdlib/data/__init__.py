"""Sec. 3.1: read recordings, from a folder of WAV files to decoded clips.

* ``file_names``: "section ID determined from the filename", domain, split and label
* ``catalogue``, ``ground_truth``, ``plan``: the clips of a folder, their labels, and the plan of a run
* ``held_out_split``: "the subset of training data, which is not used for the training" (Sec. 2.1)
* ``audio``, ``machine_clips``: clips decoded once, and those of a machine type with their roles
* ``recording``, ``contents``, ``wav``, ``containers``, ``chunks``, ``compressed``, ``mpeg``: audio files of all formats
* ``quality``, ``anomaly_names``, ``folder_report``, ``inspection``: what to know of a folder before using it
* ``download``, ``zenodo``, ``unpack``: the recordings of DCASE2021 Task 2
* ``lists``: lists with one line per clip, such as the official ground truth
"""
