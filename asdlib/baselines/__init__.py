"""The two official baselines of Sec. 3.1, and one simple reference that the paper lacks.

* ``frame_autoencoder``: row 1 of Table 1, the official autoencoder over frames
* ``mobilenet``: row 2, the official classifier of sections
* ``mahalanobis``, ``mahalanobis_target``: the reference without a network, and its hypotheses of the domain shift
* ``windows``, ``files``: windows of frames, and the files of a baseline
"""
