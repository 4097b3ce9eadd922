"""Alerts: candles are looked at once, and what they crossed is delivered."""
