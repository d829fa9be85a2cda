"""How the book is doing, in numbers: what waits, what failed, deliveries by hour and day, each webhook."""
