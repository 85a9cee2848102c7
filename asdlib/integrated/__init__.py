"""Our answer to Sec. 4: one network per machine type in place of the ensemble, an extension of the paper."""
