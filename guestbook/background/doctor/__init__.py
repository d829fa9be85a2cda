"""The checks of `doctor`: each looks at one thing that can keep a book from working, and says what to do."""
