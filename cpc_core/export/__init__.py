"""Exports: folders with a trained encoder that other tools load."""
