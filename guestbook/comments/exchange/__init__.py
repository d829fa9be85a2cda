"""Comments in files: `comments export` writes them, `comments import` reads them and those of others."""
