"""Benchmarks. Machines are noisy: each compares within one run and gives medians and ratios."""
