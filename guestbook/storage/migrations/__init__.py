"""The way from each earlier schema to that of schema.sql: a file per version, in order."""
