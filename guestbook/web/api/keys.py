"""Who asks: anybody, or a program that the owner gave a token. No cookie counts here, so none can be abused.

Wrong tokens are not counted: nobody guesses 256 random bits, however often they may try.
"""

import re
from typing import NoReturn

from flask import Response, g, request
from werkzeug.datastructures import WWWAuthenticate
from werkzeug.exceptions import Unauthorized

from guestbook import tokens
from guestbook.database import db
from guestbook.web.api import asked

BEARER = re.compile(r"bearer +(\S+) *", re.IGNORECASE)
CHALLENGE = WWWAuthenticate("bearer", {"realm": "guestbook"})


def admit() -> None:
    """Let pass who may ask this; raises Unauthorized. What the document does not say needs a token."""
    g.token = None
    security = _security()
    if not security:
        return
    given = BEARER.fullmatch(request.headers.get("Authorization", ""))
    if given:
        g.token = tokens.find(db.session(), given[1])
    if g.token is None and (given or {} not in security):
        refuse()


def has_token() -> bool:
    """Whether it is the owner's program that asks."""
    return g.get("token") is not None


def refuse() -> NoReturn:
    """Ask for a good token."""
    raise Unauthorized("This needs a token: Authorization: Bearer gbk_…", www_authenticate=CHALLENGE)


def add_headers(response: Response) -> Response:
    """Let any website read what everybody may read, and nobody keep the rest."""
    if request.method in ("GET", "HEAD") and not has_token() and _is_public():
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        response.vary.add("Authorization")
    else:
        response.headers["Cache-Control"] = "no-store"
    return response


def _is_public() -> bool:
    return not _security() or {} in _security()


def _security() -> list[dict[str, list[str]]]:
    if request.method == "OPTIONS":  # which Flask answers: it says what may be asked here, and no more
        return []
    listed: list[dict[str, list[str]]] = asked.operation()["security"]
    return listed
