"""What the command line asks the database, as the reader."""
