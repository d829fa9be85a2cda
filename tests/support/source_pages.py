"""Sources and their form, as the tests of the admin fill it in and read it."""

import json
from typing import Any

from guestbook.storage.models import Source
from tests.support import factories
from tests.support.owner import Owner
from tests.support.webhook_pages import value

PLACE = "/admin/sources/"
ISSUE = {
    "action": "opened",
    "issue": {"number": 5, "title": "It rains in", "html_url": "https://example.org/5"},
    "repository": {"full_name": "ada/roof"},
    "sender": {"login": "ada", "html_url": "https://example.org/ada"},
}


def form(owner: Owner, **typed: Any) -> dict[str, Any]:
    """What the form for another one sends when only the name was typed, and what else is given."""
    key = value(owner.page(PLACE + "new"), "key")
    sent = {"key": key, "name": "Robot", "verify": "github", "action": "log", "secret": "", "header": ""}
    return {**sent, "ready": "", "template": "", "budget_mb": "50", **typed}


def added(owner: Owner, **typed: Any) -> str:
    answer = owner.post(PLACE, form(owner, **typed))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"].partition("?")[0].rpartition("/")[2])


def stored(row_id: str) -> Source:
    return factories.the(Source, row_id)


def issue(source_id: str, **values: Any) -> str:
    headers = {"content-type": "application/json", "x-github-event": "issues"}
    return factories.inbound(source_id, **{"headers": headers, "payload": json.dumps(ISSUE), **values})
