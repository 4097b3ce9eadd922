"""Rows in and out by binary COPY, for processes that may block."""
