"""The official files of DCASE Task 2, 2020 to 2025, in and out: scores, decisions, ground truth and results.

* :mod:`.years`: the challenges' machine types and sections, and which year files are of;
* :mod:`.file_names`: names of official files and of the clips in them, read and written;
* :mod:`.sources`: folders, files and zip archives that hold official files;
* :mod:`.files`: score and decision files with the labels and domains of the ground truth, as score tables;
* :mod:`.rules`: each year's figures and official score;
* :mod:`.results`: ``result.csv`` in each year's form, and how it compares with our figures;
* :mod:`.evaluate`, :mod:`.combine`, :mod:`.export`: the commands.
"""
