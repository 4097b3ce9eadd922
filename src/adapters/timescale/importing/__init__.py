"""Archive files into the database: ``importer`` starts workers, ``worker`` is one of them."""
