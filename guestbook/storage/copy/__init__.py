"""A book moves to another database: its tables are copied, compared, and copied again where they differ."""
