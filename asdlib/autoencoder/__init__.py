"""The autoencoder branch (Sec. 2.1): reconstruct the masked log-mel of a clip, score the reconstruction errors."""
