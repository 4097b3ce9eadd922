"""The archive: which files there are, what stands in them, and how they are served."""
