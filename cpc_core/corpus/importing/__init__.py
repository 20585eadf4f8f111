"""Recordings turned into a corpus of Parquet shards."""
