"""Specs: the request for a study."""
