"""Arrays in, verdicts out: saturation, comparisons, two-stage convergence, imbalance of a GAN.

numpy and scipy only; nothing here reads a file or knows a run.
"""
