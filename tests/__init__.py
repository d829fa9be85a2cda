"""The suite mirrors the package."""
