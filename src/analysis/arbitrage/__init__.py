"""CEX against DEX: ``screen`` finds, ``execution`` judges; one run in ``compute``, the task in ``jobs``."""
