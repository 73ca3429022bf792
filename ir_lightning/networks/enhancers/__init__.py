"""Detail-enhancing modules."""
