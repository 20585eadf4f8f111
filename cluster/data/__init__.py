"""Audio through Ray Data: batches for training, and imports spread over a cluster."""
