"""Every fault and change as a method of ``api.Control``, and the same over HTTP."""
