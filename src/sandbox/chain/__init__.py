"""A chain with Uniswap v3 pools, and its node."""
