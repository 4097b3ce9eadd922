"""What is known of the past: archive files, requests to fill, what has expired, what was taken over."""
