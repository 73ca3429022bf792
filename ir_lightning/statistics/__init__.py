"""Arrays in, verdicts out, by numpy and scipy alone; nothing here reads a file or knows a run."""
