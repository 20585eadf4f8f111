"""Where recordings come from: one module per kind of source, each with one class."""
