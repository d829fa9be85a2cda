"""The account: password, browsers, API tokens, the address that runs a pass, second factor, audit log.

A form whose answer shows a secret leads to no redirect: the next page would need it without the password.
"""

from urllib.parse import urlsplit

from flask import Blueprint, abort, g, render_template, request, session as browser_session
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from markupsafe import Markup
from sqlalchemy import inspect

from guestbook.auth import api_tokens, login, second_factor
from guestbook.lib import clock, ids, text
from guestbook.lib.errors import Refused
from guestbook.queries.filtered_lists import AuditFilter
from guestbook.storage import cron_token
from guestbook.storage.database import db, writing
from guestbook.storage.models import AuditEntry, Token
from guestbook.storage.models.owner import ACTORS, AUDITED_ACTIONS, SCOPES
from guestbook.web import request_context, response_headers, row_lookup
from guestbook.web.admin import responses
from guestbook.web.admin.login import set_cookie

# Part of a user agent → its usual name. The first match counts, because most claim to be others too.
BROWSERS = {
    "Edg": "Edge", "OPR/": "Opera", "SamsungBrowser": "Samsung Internet", "Firefox": "Firefox",
    "FxiOS": "Firefox", "Chrome": "Chrome", "CriOS": "Chrome", "Safari": "Safari",
}  # fmt: skip
SYSTEMS = {
    "iPhone": "an iPhone", "iPad": "an iPad", "Android": "Android", "Windows": "Windows", "CrOS": "ChromeOS",
    "Mac": "a Mac", "Linux": "Linux",
}  # fmt: skip


def browser_name(agent: str) -> str:
    """Return the usual name of a browser: `Firefox on Linux`."""
    browser = next((name for sign, name in BROWSERS.items() if sign in agent), None)
    system = next((name for sign, name in SYSTEMS.items() if sign in agent), None)
    if browser is None:
        return agent.split(" ")[0][:40] or "Unknown browser"
    return f"{browser} on {system}" if system else browser


pages = Blueprint("account", __name__, url_prefix="/account")

NEW_TOKEN = {"name": "", "scope": "read", "expires": "90d"}
TOKEN_SHOWN_ONCE = "This token exists already, and was shown only once. If you did not keep it, revoke it."
EXPIRIES = {"": "never", "30d": "in 30 days", "90d": "in 90 days", "365d": "in a year"}
SCOPE_MEANINGS = {
    "read": "read everything in the API",
    "moderate": "read, and edit, moderate, reply to and delete comments",
    "manage": "do everything that you can do here",
}


@pages.get("/")
def index(**more: object) -> str:
    """Show the logged-in browsers and the tokens; or a refused form again, with its reasons."""
    session = db.session()
    return render_template(
        "admin/account.html",
        logins=login.logins(session),
        tokens=api_tokens.all_of(session),
        this=str(inspect(g.login).identity[0]),  # This is its id, even if it has just ended.
        now=clock.now(),
        typed=NEW_TOKEN | responses.typed_lines(NEW_TOKEN.keys() & request.form),
        browser_name=browser_name,
        second_factor=second_factor.read(session),
        has_cron_address=cron_token.read(session) is not None,
        new_id=ids.new(),
        scopes=[(scope, f"{scope}: {SCOPE_MEANINGS[scope]}") for scope in SCOPES],
        ends=list(EXPIRIES.items()),
        **more,
    )


@pages.post("/password")
@responses.form_on(index)
def change_password() -> ResponseReturnValue:
    """Change the password; only this browser stays logged in."""
    password, about_tokens = request.form.get("password", ""), ""
    if password != request.form.get("again", ""):
        raise Refused("The two passwords differ.", field="again")
    known = responses.confirm_password("old")
    with writing() as session:
        value = login.change_password(session, password, known=known, browser=request.user_agent.string)
        revoke = "revoke_tokens" in request.form
        count = api_tokens.revoke_all(session) if revoke else api_tokens.count(session, clock.now())
    set_cookie(value)
    if count:
        some = text.counted(count, "API token")
        about_tokens = f" Revoked {some}." if revoke else f" {some} can still be used."
    done = f"The password is changed, and every other browser is logged out.{about_tokens}"
    return responses.done(done, ".index")


@pages.post("/logout-browser")
def log_out_browser() -> ResponseReturnValue:
    """Log out another browser."""
    login_id = request.form.get("browser", "").replace("\0", "")  # PostgreSQL refuses NUL.
    with writing() as session:
        login.log_out_one(session, login_id)
    return responses.done("That browser is logged out.", ".index")


@pages.post("/logout-everywhere")
def log_out_everywhere() -> ResponseReturnValue:
    """Log out this browser and all others."""
    browser_session.clear()
    with writing() as session:
        login.log_out_everywhere(session)
    return responses.done("You are logged out everywhere.", "admin.login.log_in")


@pages.post("/tokens")
@responses.form_on(index)
def add_token() -> ResponseReturnValue:
    """Add a token and show it in this answer only.

    It needs the password, because a token outlives a stolen login. The form contains the token's id, so that
    reloading the answer adds no second token.
    """
    typed, token_id = responses.typed_lines(NEW_TOKEN), responses.form_key("id")
    if typed["expires"] not in EXPIRIES:
        raise Refused("Choose when it expires.", field="expires")
    api_tokens.check(**typed)  # This comes before an attempt at the password is counted.
    responses.confirm_password("confirm")
    with writing() as session:
        if session.get(Token, token_id):
            return responses.done(TOKEN_SHOWN_ONCE, ".index")
        token, value = api_tokens.add(session, **typed, token_id=token_id)
        name, scope = token.name, SCOPE_MEANINGS[token.scope]
    return render_template("admin/shown_once.html", what="token", name=name, value=value, scope=scope)


@pages.post("/tokens/<token_id>/revoke")
def revoke_token(token_id: str) -> ResponseReturnValue:
    """Revoke a token."""
    with writing() as session:
        token = row_lookup.find(Token, token_id)
        name = token.name
        api_tokens.revoke(session, token)
    return responses.done(f"The token {name} is revoked.", ".index")


@pages.post("/cron-address")
@responses.form_on(index)
def change_cron_address() -> ResponseReturnValue:
    """Show the address that runs a pass, make a new one or remove it; each needs the password."""
    action = request.form.get("action", "show")
    if action not in ("show", "rotate", "remove"):
        abort(422, "Nothing was changed. Choose to show the address, to rotate it or to remove it.")
    responses.confirm_password("address_password")
    with writing() as session:
        if action == "remove":
            cron_token.remove(session)
            return responses.done("The address is removed. Pingers that call it get 404.", ".index")
        token = cron_token.make(session, rotate=action == "rotate")
    address = cron_token.url(request_context.settings().base_url, token)
    return render_template("admin/shown_once.html", what="address", value=address)


factor_pages = Blueprint("second_factor", __name__, url_prefix="/account/second-factor")

ISSUER_LIMIT = 40  # characters: a long one would make the picture too fine for a camera
QR_TITLE = "QR code for your authenticator app"
OFFER_LASTS = 900  # seconds in which the app must be set up
OFFER_ENDED = "This page was open for too long, or was sent before. Type your password to begin again."


@factor_pages.get("/")
def show_factor(**more: object) -> str:
    """Say whether it is on, how many recovery codes are left, and what was refused."""
    return render_template("admin/second_factor.html", factor=second_factor.read(db.session()), **more)


@factor_pages.post("/")
@responses.form_on(show_factor)
def change_factor() -> ResponseReturnValue:
    """Begin to set it up, remove it or make new recovery codes; each needs the password."""
    action = request.form.get("action", "set-up")
    if action not in ("set-up", "renew", "remove"):
        abort(422, "Nothing was changed. Choose one of the buttons.")
    responses.confirm_password()
    if action == "set-up":
        return _offer(second_factor.new_secret())
    with writing() as session:
        if action == "renew":
            codes = second_factor.renew_recovery_codes(session)
            return render_template("admin/shown_once.html", what="codes", value="\n".join(codes))
        second_factor.remove(session)
    return responses.done("The second factor is removed. The password is enough now.", ".show_factor")


@factor_pages.post("/confirm")
@responses.form_on(show_factor)
def confirm_factor() -> ResponseReturnValue:
    """Turn it on with the first code of the app, and show the recovery codes in this answer only."""
    offer = request.form.get("offer", "")
    try:
        secret = str(_offer_serializer().loads(offer, max_age=OFFER_LASTS))
    except (BadData, UnicodeError):
        raise Refused(OFFER_ENDED) from None
    try:
        with writing() as session:
            codes = second_factor.set_up(session, secret, request.form.get("code", ""), clock.now())
            login.log_out_others(session, g.login.id)
    except Refused as error:
        return _offer(secret, error.sentence), 422
    return render_template("admin/shown_once.html", what="codes", value="\n".join(codes), is_new=True)


def _offer(secret: str, reason: str | None = None) -> str:
    """Show a secret for the app; the form brings it back, signed for this login."""
    import pyotp  # No other page needs them.
    import segno

    if second_factor.read(db.session()):
        raise Refused(second_factor.ALREADY_ON)
    issuer = request_context.preferences().title.replace(":", " ")[:ISSUER_LIMIT].strip()
    # The app shows the book's host, so that the owner of several books can tell them apart.
    host = urlsplit(request_context.settings().base_url).hostname or "admin"
    url = pyotp.TOTP(secret).provisioning_uri(name=host, issuer_name=issuer)
    # The modules are dark on white in every theme, as cameras want it.
    look = {"omitsize": True, "light": "#fff", "svgclass": "qr", "lineclass": None}
    drawn = segno.make(url, error="m", micro=False).svg_inline(title=QR_TITLE, **look)
    return render_template(
        "admin/second_factor_setup.html",
        picture=Markup(drawn),  # All parts are our own, and segno escapes the title.
        url=url,
        secret=" ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        offer=_offer_serializer().dumps(secret),
        reason=reason,
    )


def _offer_serializer() -> URLSafeTimedSerializer:
    keys = request_context.settings().signing_keys
    return URLSafeTimedSerializer(keys, salt=f"admin {g.login.id} second factor")


audit_pages = Blueprint("audit", __name__, url_prefix="/audit")

ACTOR_WORDS = {
    "admin": "these pages",
    "token": "an API token",
    "command": "a command",
    "receiver": "a receiver with its link",
    "nobody": "somebody not logged in",
}


@audit_pages.get("/")
def show_audit() -> ResponseReturnValue:
    """Show the entries that match the filters; a filter that does not exist matches everything."""
    known = {"action": AUDITED_ACTIONS, "actor": ACTORS}
    kept = {name: value for name, some in known.items() if (value := request.args.get(name)) in some}
    wanted = AuditFilter(action=kept.get("action"), actor=kept.get("actor"))
    page = wanted.page(db.session(), response_headers.page_before())
    return render_template(
        "admin/audit.html",
        page=page,
        wanted=wanted,
        actions=[(name, name.replace("_", " ")) for name in AUDITED_ACTIONS],
        actors=[(name, ACTOR_WORDS[name]) for name in ACTORS],
        actor_name=_actor_name,
        **response_headers.page_links(page.older, **kept),
    )


def _actor_name(entry: AuditEntry) -> str:
    """Return who it was in a few words: `Firefox on Linux`, `token Robot`, `webhooks delete`."""
    name = entry.actor_name or ""
    if entry.actor == "admin":
        return browser_name(name)
    if entry.actor in ("token", "receiver"):
        return f"{entry.actor} {name}".strip()
    return name or ACTOR_WORDS["nobody"]
