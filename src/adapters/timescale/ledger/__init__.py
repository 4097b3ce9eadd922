"""The coverage ledger, the audit that keeps it true, and the search for holes."""
