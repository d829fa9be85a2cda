"""The page of the audit log: who did what, newest first."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.queries import filtered_lists
from guestbook.queries.filtered_lists import AuditFilter
from guestbook.storage.database import db
from guestbook.storage.models import AuditEntry
from guestbook.storage.models.owner import ACTORS, AUDITED_ACTIONS
from guestbook.web import response_headers
from guestbook.web.admin.account import browser_name

pages = Blueprint("audit", __name__, url_prefix="/audit")

ACTOR_WORDS = {
    "admin": "these pages",
    "token": "an API token",
    "command": "a command",
    "receiver": "a receiver with its link",
    "nobody": "somebody not logged in",
}


@pages.get("/")
def show() -> ResponseReturnValue:
    """Show the entries that match the filters; a filter that does not exist matches everything."""
    action, actor = request.args.get("action", ""), request.args.get("actor", "")
    wanted = AuditFilter(
        action=action if action in AUDITED_ACTIONS else None, actor=actor if actor in ACTORS else None
    )
    page = filtered_lists.audit(db.session(), wanted, response_headers.page_before())
    kept = {name: value for name in ("action", "actor") if (value := getattr(wanted, name))}
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
