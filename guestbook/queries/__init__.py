"""Read-only questions to the database: lists, statistics, health."""
