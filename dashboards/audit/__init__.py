"""Page of a corpus audit."""
