"""The tables: migrations out of the SQL files, the rights of the roles."""
