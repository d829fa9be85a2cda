"""How a delivery is signed, step by step, and programs that verify this very one. Pure."""
