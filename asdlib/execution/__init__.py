"""How the stages run: `make reproduce`, papermill, kernels, process lifetimes and Slurm."""
