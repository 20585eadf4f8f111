"""Specs: the question of a study, its settings and their validation."""
