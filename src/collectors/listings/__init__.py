"""Which symbols there are, which are collected, and from when to when each is expected."""
