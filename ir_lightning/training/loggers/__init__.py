"""Where the training curve goes."""
