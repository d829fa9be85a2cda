"""What several benchmarks share: books, receivers, load, figures. One file each."""
