"""What alerts say, carried to the targets of the configuration."""
