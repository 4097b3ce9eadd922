"""TimescaleDB: what every store needs, and a folder for each thing that is kept; see ``README.md``."""
