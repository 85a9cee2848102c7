"""The two official baselines of Sec. 3.1, and one simple reference that the paper lacks."""
