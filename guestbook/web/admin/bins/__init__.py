"""The pages of bins and of what they caught."""
