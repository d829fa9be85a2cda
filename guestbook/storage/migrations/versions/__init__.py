"""A file per version: it changes the tables of the version before it. Released files never change."""
