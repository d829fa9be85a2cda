"""Which pages are for the owner: they have one look and one language, whatever the book's are."""

from flask import request

from guestbook.comments.moderation_link import MODERATION_PATH

ADMIN_PATH = "/admin"
OWNER_PATHS = (f"{ADMIN_PATH}/", f"{MODERATION_PATH}/")


def is_admin_page() -> bool:
    """Whether the address is under /admin, whether a page exists there or not."""
    return f"{request.path}/".startswith(f"{ADMIN_PATH}/")


def is_for_owner() -> bool:
    """Whether it is an admin page, or the one behind a link in a message to the owner."""
    return f"{request.path}/".startswith(OWNER_PATHS)
