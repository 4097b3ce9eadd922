"""Uniswap v3 swaps: filled over ranges of settled blocks, and followed at the head of the chain."""
