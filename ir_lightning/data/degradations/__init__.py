"""Degradation models: what noise, rain and haze do to a clean image."""
