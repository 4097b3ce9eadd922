"""TimescaleDB: migrations, the writer's session, the search for holes, and what ``status`` asks."""
