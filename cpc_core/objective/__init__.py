"""Objective (Eq. 1), its negatives and embeddings."""
