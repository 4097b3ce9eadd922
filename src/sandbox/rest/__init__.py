"""The REST side: rows, weights and limits, and the endpoints over HTTP."""
