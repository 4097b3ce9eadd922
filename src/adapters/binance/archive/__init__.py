"""The venue's published files: ``client`` finds and fetches them, the other modules read what is in them."""
