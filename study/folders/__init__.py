"""Folders: the layout of a study and its trials on disk."""
