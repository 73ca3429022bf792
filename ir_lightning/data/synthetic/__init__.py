"""Scenes that need no download."""
