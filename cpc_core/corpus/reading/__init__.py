"""Training batches read from a corpus, in an order that is a function of the seed."""
