"""The formats: the bodies that chat services accept."""
