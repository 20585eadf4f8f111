"""Contrastive predictive coding of audio with an adversary: the science, without any cluster code.

Importing the package imports nothing heavy: `cpc_core.config` and `cpc_core.geometry` work without
torch.
"""
