"""Our answer to Sec. 4: one network per machine type in place of the ensemble, an extension of the paper.

* ``model``: one encoder with a head that reconstructs (Sec. 2.1) and a head that embeds (Sec. 2.2)
* ``losses``: the losses of both heads, and their weights
* ``train``, ``scorer``, ``run``, ``onnx``: training, scoring, both as a stage, and files that run without PyTorch
"""
