"""An export: Parquet files in folders, and a manifest that says what they are."""
