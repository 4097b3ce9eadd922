"""Fuzzing with atheris: ``python -m fuzz TARGET`` gives one parser bytes that nobody wrote (README.md)."""
