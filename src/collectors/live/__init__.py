"""The live path: stream and roll call through the gate into the buffer, and the writer that empties it."""
