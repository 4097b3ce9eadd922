"""Where trades go, and what is known of their ids: live ones by ``store``, whole files by ``load``."""
