"""Cells, comparisons, claims and answers: small frozen infos, each shown by one figure or table."""
