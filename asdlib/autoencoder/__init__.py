"""The autoencoder branch (Sec. 2.1): reconstruct the masked log-mel of a clip, score the reconstruction errors.

* ``conformer``, ``model``: "consists of Conformer blocks, accepting the sequence of features", with ID regression
* ``specaugment``: "time masking and frequency masking", and dropout "for the input feature sequence"
* ``masked_copies``: "replicate the input sequence", "apply different masking for each", then pool the copies' errors
* ``reconstruction_errors``: "calculating the reconstruction error" with a trained model
* ``section_domain_gaussians``: a Gaussian "for each section and each domain", from clips "not used for the training"
* ``frame_to_clip_scores``: likelihood "as a frame-wise anomaly score", then "squeeze the time dimension"
* ``batches``, ``train``, ``scorer``, ``inspection``: training crops, the two stages, and what notebooks show of a clip
"""
