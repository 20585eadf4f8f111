"""Batches of crops read from a corpus, in an order that is a function of seed and epoch."""
