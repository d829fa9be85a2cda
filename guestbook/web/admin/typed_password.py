"""The owner's password in a form: it protects what outlives a login that somebody has stolen."""

from flask import request

from guestbook.auth import login
from guestbook.auth.login import TooManyTries, WrongPassword
from guestbook.lib.errors import Refused
from guestbook.web import current


def confirm(field: str = "password") -> str:
    """See that the field has the owner's password, and return its hash; raises as `login.confirm` does."""
    password = request.form.get(field, "")
    return login.confirm(password, address=request.remote_addr, settings=current.settings())


def reasons(error: Refused, field: str = "password") -> dict[str, str]:
    """Return what is wrong with each field of the form; a wrong password is shown at its field."""
    return {field: str(error)} if isinstance(error, (TooManyTries, WrongPassword)) else error.fields
