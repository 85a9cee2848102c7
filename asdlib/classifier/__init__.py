"""Binary classification branch (Sec. 2.2), with one model per machine type and section.

* ``positives_and_negatives``: the target section "as positive examples", "the other normal data" as negative
* ``waveform_normalisation``: "A waveform of each example is normalized over each machine type"
* ``feature_extraction``, ``model``: PyTorch Image Models, averaged to "an embedding vector", dropout, ReLU, one logit
* ``ddcsad``, ``arcface``: "minimize the within-class variance and maximize the between-class variance"
* ``pseudo_target``, ``augment``: "pseudo target domain data by Mixup", "Gaussian Noise and Volume control"
* ``batches``, ``windows``, ``device_windows``, ``train``: mini-batches; the source domain, "then perform fine-tuning"
* ``posterior_and_distance``: "combine the posterior probability with the normalized distance" to an anomaly score
* ``window_outputs``, ``clip_outputs``, ``reference_statistics``, ``scorer``: outputs for clips, and the stage
* ``inspection``, ``pca_and_tsne``: what notebooks show of mini-batches, clips and embeddings
"""

STAGES = ("source training", "fine-tuning")
FILES = {"source training": "source.safetensors", "fine-tuning": "target.safetensors"}
"""file names of a section's models, by stage"""
OUTLIER, NORMAL = 0, 1
"""row indices of the centroids, equal to the labels of the classes"""
