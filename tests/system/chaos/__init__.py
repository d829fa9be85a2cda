"""Crashes and races, with real processes and real signals."""
