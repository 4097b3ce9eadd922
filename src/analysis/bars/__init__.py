"""Bars: the loops in ``kernels`` behind ``advance``; ``jobs`` are the tasks that keep or build them."""
