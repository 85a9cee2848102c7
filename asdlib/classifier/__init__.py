"""Binary classification branch (Sec. 2.2), with one model per machine type and section."""

STAGES = ("source training", "fine-tuning")
FILES = {"source training": "source.safetensors", "fine-tuning": "target.safetensors"}
"""file names of a section's models, by stage"""
OUTLIER, NORMAL = 0, 1
"""row indices of the centroids, equal to the labels of the classes"""
