"""Pieces that benchmarks share: books, receivers, load, figures. One file each."""
