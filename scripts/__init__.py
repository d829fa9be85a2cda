"""The scripts; those in Python are packages here."""
