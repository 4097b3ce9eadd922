"""Where futures metrics and funding go, merged column by column."""
