"""Readers of the public benchmarks."""
