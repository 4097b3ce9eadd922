"""What runs the collectors: start and stop, restarts, roles and their locks, clock and event loop."""
