"""Programs and packages of others: they understand us, and we understand them."""
