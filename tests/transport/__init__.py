"""One POST to a stranger's URL, against real receivers on 127.0.0.1."""
