"""History: decides what to fetch from where, drives it, and keeps looking after what is there."""
