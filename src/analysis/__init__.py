"""Analyses, a folder each: a pure kernel beside a thin job. Importing this package imports none of them."""
