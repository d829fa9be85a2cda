"""The scope that each request needs."""

SCOPES_DESCRIPTION = (
    "A token has a scope: `read` allows every GET, `moderate` also allows editing, replying to and deleting "
    "comments, and `manage` allows everything."
)


def needed(path: str, method: str) -> str:
    """Return the scope for a method at a path such as `/comments/{comment_id}`."""
    if method.lower() in ("get", "head"):
        return "read"
    return "moderate" if path.startswith("/comments") else "manage"
