"""E1 to E4, E7, E9, E11, E15, E16, E19, E24: the database gone, locked, full or half there. Rows of docs/faults.md."""
