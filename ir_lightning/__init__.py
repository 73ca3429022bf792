"""The laboratory for generative image restoration."""

__version__ = "0.1.0"
