"""Runs on disk, and nothing else: no torch here."""
