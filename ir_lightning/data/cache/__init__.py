"""Decoded images on disk, read at full speed."""
