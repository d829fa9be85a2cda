"""How an action of the desk ends: it says what was done."""

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue


def done(sentence: str, endpoint: str, **values: object) -> ResponseReturnValue:
    """Lead on to a page, which says what was done."""
    flash(sentence)
    return redirect(url_for(endpoint, **values), 303)  # type: ignore[arg-type]  # what url_for takes
