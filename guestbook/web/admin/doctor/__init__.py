"""The page of `doctor`."""
