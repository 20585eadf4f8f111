"""Storage: where trials are kept, and who may write them."""
