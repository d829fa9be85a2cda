"""The account page: the password, logged-in browsers, API tokens, and the address that runs a pass."""

from flask import Blueprint, abort, g, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy import inspect
from sqlalchemy.exc import IntegrityError

from guestbook.auth import api_tokens, login, second_factor
from guestbook.lib import clock, ids, text
from guestbook.lib.errors import Refused
from guestbook.storage import cron_token
from guestbook.storage.database import db, writing
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES
from guestbook.web import request_context, row_lookup
from guestbook.web.admin import access, responses

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


ADDRESS_ACTIONS = ("show", "rotate", "remove")


def change_address(then: str) -> ResponseReturnValue:
    """Show the address, make a new one or remove it; raises Refused when the password is wrong.

    No redirect: the next page would have to show the address without the password.
    """
    action = request.form.get("action", "show")
    if action not in ADDRESS_ACTIONS:
        abort(422, "Nothing was changed. Choose to show the address, to rotate it or to remove it.")
    responses.confirm_password("address_password")
    with writing() as session:
        if action == "remove":
            cron_token.remove(session)
            return responses.done("The address is removed. Pingers that call it get 404.", then)
        token = cron_token.make(session, rotate=action == "rotate")
    return render_template(
        "admin/cron_address.html", value=cron_token.url(request_context.settings().base_url, token)
    )


pages = Blueprint("account", __name__, url_prefix="/account")

ACCOUNT_PAGE = "admin.account.index"
EXPIRIES = {"": "never", "30d": "in 30 days", "90d": "in 90 days", "365d": "in a year"}  # of a new token
SCOPE_MEANINGS = {  # of the scopes
    "read": "read everything in the API",
    "moderate": "read, and edit, moderate, reply to and delete comments",
    "manage": "do everything that you can do here",
}


@pages.get("/")
def index() -> ResponseReturnValue:
    """Show the logged-in browsers and the tokens."""
    return _page()


@pages.post("/password")
def change_password() -> ResponseReturnValue:
    """Change the password; only this browser stays logged in."""
    try:
        value, about_tokens = _changed(
            **{name: request.form.get(name, "") for name in ("password", "again")},
            revoke="revoke_tokens" in request.form,
        )
    except Refused as error:
        return responses.refused(error, _page(responses.password_reasons(error, "old")))
    access.set_cookie(value)
    done = f"The password is changed, and every other browser is logged out.{about_tokens}"
    return responses.done(done, ACCOUNT_PAGE)


@pages.post("/logout-browser")
def log_out_browser() -> ResponseReturnValue:
    """Log out another browser."""
    login_id = request.form.get("browser", "")
    if "\0" not in login_id:  # PostgreSQL refuses one, and no login has it
        with writing() as database:
            login.log_out_one(database, login_id)
    return responses.done("That browser is logged out.", ACCOUNT_PAGE)


@pages.post("/logout-everywhere")
def log_out_everywhere() -> ResponseReturnValue:
    """Log out this browser and all others."""
    access.clear_cookie()
    with writing() as session:
        login.log_out_everywhere(session)
    return responses.done("You are logged out everywhere.", "admin.login.log_in")


@pages.post("/tokens")
def add_token() -> ResponseReturnValue:
    """Add a token and show it in this answer only.

    It needs the password, because a token outlives a stolen login. A redirect would have to carry the token.
    The form contains the token's id, so that reloading the answer adds no second token.
    """
    typed = {name: text.clean_line(request.form.get(name, "")) for name in ("name", "scope", "expires")}
    token_id = request.form.get("id", "")
    known = token_id if ids.ID.fullmatch(token_id) else None
    try:
        if typed["expires"] not in EXPIRIES:
            raise Refused("Choose when it expires.", field="expires")
        api_tokens.check(**typed)  # before an attempt at the password is counted
        responses.confirm_password("confirm")
        with writing() as session:
            token, value = api_tokens.add(session, **typed, token_id=known)
            name, scope = token.name, SCOPE_MEANINGS[token.scope]
    except Refused as error:
        return responses.refused(error, _page(responses.password_reasons(error, "confirm"), typed))
    except IntegrityError:
        return responses.done(
            "This token exists already, and was shown only once. If you did not keep it, revoke it.",
            ACCOUNT_PAGE,
        )
    return render_template("admin/token.html", name=name, value=value, scope=scope)


@pages.post("/tokens/<token_id>/revoke")
def revoke_token(token_id: str) -> ResponseReturnValue:
    """Revoke a token."""
    with writing() as session:
        token = row_lookup.find(Token, token_id)
        name = token.name
        api_tokens.revoke(session, token)
    return responses.done(f"The token {name} is revoked.", ACCOUNT_PAGE)


@pages.post("/cron-address")
def change_cron_address() -> ResponseReturnValue:
    """Show the address that runs a pass, make a new one or remove it; each needs the password."""
    try:
        return change_address(ACCOUNT_PAGE)
    except Refused as error:
        return responses.refused(error, _page(responses.password_reasons(error, "address_password")))


def _changed(password: str, again: str, *, revoke: bool) -> tuple[str, str]:
    """Change the password; return the new cookie's value and a sentence about the tokens."""
    if password != again:
        raise Refused("The two passwords differ.", field="again")
    known = responses.confirm_password("old")
    with writing() as session:
        value = login.change_password(session, password, known=known, browser=request.user_agent.string)
        count = api_tokens.revoke_all(session) if revoke else api_tokens.count(session, clock.now())
    if not count:
        return value, ""
    some = text.counted(count, "API token")
    return value, f" Revoked {some}." if revoke else f" {some} can still be used."


def _page(reasons: dict[str, str] | None = None, typed: dict[str, str] | None = None) -> str:
    session = db.session()
    return render_template(
        "admin/account.html",
        logins=login.logins(session),
        tokens=api_tokens.all_of(session),
        this=str(inspect(g.login).identity[0]),  # its id, even if it has just ended
        now=clock.now(),
        reasons=reasons or {},
        typed=typed or {"name": "", "scope": "read", "expires": "90d"},
        browser_name=browser_name,
        second_factor=second_factor.read(session),
        has_cron_address=cron_token.read(session) is not None,
        new_id=ids.new(),
        scopes=[(scope, f"{scope}: {SCOPE_MEANINGS[scope]}") for scope in SCOPES],
        ends=list(EXPIRIES.items()),
    )
