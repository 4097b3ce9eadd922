"""What marketd says about itself: metrics, health and logs, made in ``wiring`` and handed down."""
