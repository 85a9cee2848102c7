"""How the stages run: `make reproduce`, papermill, kernels, process lifetimes and Slurm.

* ``workflow``: the list of stages
* ``reproduce``: validates settings and data, and runs Snakemake
* ``notebooks``, ``kernels``, ``kernel_fork``: notebooks executed by papermill, in kernels that start quickly
* ``slurm``, ``requested``: the same stages on a cluster, and what they request there
* ``process_lifetime``, ``prefixed``: processes that end with their command, and the output of parallel jobs
* ``exploring``: notebooks opened by hand
"""
