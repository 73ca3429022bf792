"""What the runs of an experiment say: tables, figures, claims, page."""
