"""The page of a corpus audit."""
