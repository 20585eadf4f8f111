"""Features of many recordings by a trained encoder, in one Parquet file."""
