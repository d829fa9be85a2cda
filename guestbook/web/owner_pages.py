"""Which pages have one look and one language, whatever the book's are: the owner's and those of receivers."""

from flask import request

from guestbook.comments.moderation_link import MODERATION_PATH
from guestbook.lib.receiver_token import RECEIVER_PATH

ADMIN_PATH = "/admin"
OWNER_PATHS = (f"{ADMIN_PATH}/", f"{MODERATION_PATH}/", f"{RECEIVER_PATH}/")
PATHS_WITH_ADMIN_LOOK = (f"{ADMIN_PATH}/", f"{RECEIVER_PATH}/")


def is_admin_page() -> bool:
    """Whether the address is under /admin, whether a page exists there or not."""
    return f"{request.path}/".startswith(f"{ADMIN_PATH}/")


def has_admin_look() -> bool:
    """Whether it is an admin page, or one of a webhook's receiver."""
    return f"{request.path}/".startswith(PATHS_WITH_ADMIN_LOOK)


def is_for_owner() -> bool:
    """Whether no visitor opens it: an admin page, or one behind a link for the owner or a receiver."""
    return f"{request.path}/".startswith(OWNER_PATHS)
