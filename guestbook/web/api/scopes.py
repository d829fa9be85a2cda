"""What a token must be allowed for each call: its scope."""

SCOPES_DESCRIPTION = (
    "A token has a scope: `read` may make every GET, `moderate` may also change, answer and delete "
    "comments, and `manage` may do all that the owner can."
)


def needed(path: str, method: str) -> str:
    """Return the scope for a method at a path such as `/comments/{comment_id}`."""
    if method.lower() in ("get", "head"):
        return "read"
    return "moderate" if path.startswith("/comments") else "manage"
