"""A hash of a password is made to take long. Most tests are about something else."""

from werkzeug import security

from guestbook.auth import login

METHOD = "scrypt:128:1:1"
REAL = security.generate_password_hash


def use() -> None:
    """Let the book of a test make its hashes at once, as scrypt does with other numbers."""
    login.generate_password_hash = _quick


def _quick(password: str, method: str) -> str:
    assert method == "scrypt"  # the numbers of Werkzeug, which it raises with the years
    return REAL(password, method=METHOD)
