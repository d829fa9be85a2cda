"""The page of the second factor: its QR code, set it up with an app, remove it, get new recovery codes."""

from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from flask import Blueprint, abort, g, render_template, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from markupsafe import Markup

from guestbook.auth import login, second_factor
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from guestbook.storage.database import db, writing
from guestbook.web import request_context
from guestbook.web.admin import responses

ISSUER_LIMIT = 40  # characters: a long one would make the picture too fine for a camera
QR_TITLE = "QR code for your authenticator app"


def otpauth_url(secret: str, title: str, base_url: str) -> str:
    """Return the URL as https://github.com/google/google-authenticator/wiki/Key-Uri-Format describes it.

    The app shows the book's host, so that the owner of several books can tell them apart.
    """
    issuer = title.replace(":", " ")[:ISSUER_LIMIT].strip()
    label = quote(f"{issuer}:{urlsplit(base_url).hostname or 'admin'}")
    return f"otpauth://totp/{label}?{urlencode({'secret': secret, 'issuer': issuer}, quote_via=quote)}"


def svg(url: str) -> Markup:
    """Return an <svg> element; dark modules on white in every theme, as cameras want it."""
    import segno  # here: no other page needs it

    made = segno.make(url, error="m", micro=False)
    drawn = made.svg_inline(omitsize=True, light="#fff", title=QR_TITLE, svgclass="qr", lineclass=None)
    return Markup(drawn)  # of our own parts: segno escapes the title


pages = Blueprint("second_factor", __name__, url_prefix="/account/second-factor")

FACTOR_PAGE = "admin/second_factor.html"
OFFER_LASTS = 900  # seconds in which the app must be set up
OFFER_ENDED = "This page was open for too long, or was sent before. Type your password to begin again."
FACTOR_ACTIONS = ("set-up", "renew", "remove")


@pages.get("/")
def show() -> ResponseReturnValue:
    """Say whether it is on, and how many recovery codes are left."""
    return _page()


@pages.post("/")
def change() -> ResponseReturnValue:
    """Begin to set it up, remove it or make new recovery codes; each needs the password.

    No redirect where secrets are shown: the next page would have to show them without the password.
    """
    action = request.form.get("action", "set-up")
    if action not in FACTOR_ACTIONS:
        abort(422, "Nothing was changed. Choose one of the buttons.")
    try:
        responses.confirm_password()
        if action == "set-up":
            return _offer(second_factor.new_secret())
        with writing() as session:
            codes = second_factor.renew_recovery_codes(session) if action == "renew" else []
            if action == "remove":
                second_factor.remove(session)
    except Refused as error:
        return responses.refused(error, _page(reasons={"password": str(error)}))
    if action == "renew":
        return render_template("admin/recovery_codes.html", codes=codes, is_new=False)
    return responses.done("The second factor is removed. The password is enough now.", ".show")


@pages.post("/confirm")
def confirm() -> ResponseReturnValue:
    """Turn it on with the first code of the app, and show the recovery codes in this answer only."""
    offer = request.form.get("offer", "")
    try:
        secret = str(_serializer().loads(offer, max_age=OFFER_LASTS))
    except (BadData, UnicodeError):
        return responses.refused(Refused(OFFER_ENDED), _page(notice=OFFER_ENDED))
    try:
        with writing() as session:
            codes = second_factor.set_up(session, secret, request.form.get("code", ""), clock.now())
            login.log_out_others(session, g.login.id)
    except Refused as error:
        is_on = second_factor.read(db.session()) is not None
        page = _page(notice=str(error)) if is_on else _offer(secret, str(error))
        return responses.refused(error, page)
    return render_template("admin/recovery_codes.html", codes=codes, is_new=True)


def _page(**more: Any) -> str:
    factor = second_factor.read(db.session())
    return render_template(FACTOR_PAGE, factor=factor, **{"reasons": {}, "notice": None, **more})


def _offer(secret: str, reason: str | None = None) -> str:
    """Show a secret for the app; the form brings it back, signed for this login."""
    if second_factor.read(db.session()):
        raise Refused(second_factor.ALREADY_ON)
    url = otpauth_url(secret, request_context.preferences().title, request_context.settings().base_url)
    return render_template(
        "admin/second_factor_setup.html",
        picture=svg(url),
        url=url,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        offer=_serializer().dumps(secret),
        reason=reason,
    )


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(request_context.signing_keys(), salt=f"admin {g.login.id} second factor")
