"""Which symbols there are: ``marketd symbols``, its ``--listings``, and ``marketd alpha``."""
