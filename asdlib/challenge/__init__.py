"""Read and write the official files of DCASE Task 2, 2020 to 2025: scores, decisions, ground truth and results.

* :mod:`.years`: machine types and sections of the challenges, and recognition of the year of files;
* :mod:`.file_names`: names of official files and of the clips in them, read and written;
* :mod:`.sources`: folders, files and zip archives with official files;
* :mod:`.files`, :mod:`.contents`, :mod:`.labels`: score and decision files as score tables, with the labels and domains
  of the ground truth;
* :mod:`.rules`: each year's figures and official score;
* :mod:`.results`: ``result.csv`` in each year's format, and its comparison with our figures;
* :mod:`.evaluate`, :mod:`.combine`, :mod:`.export`: the commands.
"""
