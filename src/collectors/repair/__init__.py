"""Minutes of the last 25 h that are not stored: found, and asked for over REST."""
