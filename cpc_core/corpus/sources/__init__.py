"""Sources of recordings: one module per format, and `detect.SOURCES`, which lists them."""
