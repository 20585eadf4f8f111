"""Contrastive Predictive Coding of audio with an adversary: the science, free of any cluster or
study code.

Importing the package imports nothing heavy: `cpc_core.config` and `cpc_core.geometry` work without
torch.
"""
