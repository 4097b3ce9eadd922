"""``marketd plot``: the pictures, and what draws any of them."""
