"""The Parquet corpus: its import from recordings, its audit, and its reading in training order."""
