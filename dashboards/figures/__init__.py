"""The figures of the study page, one module each."""
