"""Ethereum and what speaks its JSON-RPC, and Uniswap v3 on it."""
