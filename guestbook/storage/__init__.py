"""The database: connections, transactions, tables, and copying a book to another database."""
