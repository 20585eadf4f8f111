"""Marks, panels and sections that figures are drawn from."""
