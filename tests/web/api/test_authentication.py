"""What a token may do and see, until when and how often."""

import base64
import re
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from guestbook import settings
from guestbook.lib import clock
from guestbook.lib.rate_counters import WindowCounter
from guestbook.storage import database, engines, row_changes
from guestbook.storage.models import Token
from guestbook.storage.models.owner import SCOPES
from guestbook.web.api import authentication, openapi
from guestbook.web.api.api_call import PENDING
from guestbook.web.api.openapi import CALLS
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient, new_token
from tests.support.receiver_person import add_link
from tests.support.visitor import set_


def program(app: Flask, **how: Any) -> ApiClient:
    return ApiClient(app, new_token(**how))


def set_token(**values: Any) -> None:
    factories.written(lambda session: session.execute(update(Token).values(**values)))


def last_used() -> Any:
    [token] = factories.rows(Token)
    return token.last_used_at


def calls() -> list[tuple[str, str, str]]:
    """Method, path and scope of every call that takes a token."""
    return [
        (method, path, role["token"][0])
        for path, methods in openapi.paths().items()
        for method in methods.keys() - {"parameters"}
        for role in methods[method]["security"]
        if role
    ]


@pytest.mark.parametrize("scope", SCOPES)
def test_a_token_may_do_what_its_scope_says_and_no_more(app: Flask, scope: str) -> None:
    one = program(app, scope=scope)
    assert {needed for *_, needed in calls()} == set(SCOPES)
    for method, path, needed in calls():
        answer = one.ask(method, re.sub("{.*?}", NOBODY, path))
        refused = SCOPES.index(needed) > SCOPES.index(scope)
        assert (answer.status_code == 403) == refused, (method, path, answer.text)
        if refused:
            error = answer.get_json()["error"]
            assert error["code"] == "insufficient_scope"
            assert error["message"] == f"This needs a token with the scope {needed}; yours has {scope}."
            challenge = f'Bearer realm="guestbook", error="insufficient_scope", scope="{needed}"'
            assert answer.headers["WWW-Authenticate"] == challenge


def test_every_get_needs_read_and_comments_need_moderate() -> None:
    needed = {(method, path): scope for method, path, scope in calls()}
    assert needed.pop(("get", "/webhooks/{webhook_id}/pending")) == "manage", "it leases what it returns"
    assert {scope for (method, _), scope in needed.items() if method == "get"} == {"read"}
    assert {needed[method, "/comments/{comment_id}"] for method in ("patch", "delete")} == {"moderate"}
    assert needed["post", "/webhooks"] == needed["delete", "/webhooks/{webhook_id}"] == "manage"


def test_a_token_that_has_expired_opens_nothing_and_says_so(app: Flask) -> None:
    one = program(app, expires="90d")
    one.get("/webhooks")
    set_token(expires_at=clock.from_text("2026-01-31"))
    for path in ("/webhooks", "/comments"):
        answer = one.ask("GET", path)
        assert answer.status_code == 401
        assert "This token expired on 2026-01-31. The owner can make another." in answer.text
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="guestbook", error="invalid_token"'


@pytest.mark.parametrize(
    ("sent", "challenge"),
    [
        ({}, 'Bearer realm="guestbook"'),
        ({"Authorization": "Basic x"}, 'Bearer realm="guestbook"'),
        ({"Authorization": "Bearer wrong"}, 'Bearer realm="guestbook", error="invalid_token"'),
    ],
)
def test_a_401_says_how_to_come_in(app: Flask, sent: dict[str, str], challenge: str) -> None:
    for path in ("/webhooks", "/comments?status=held"):
        answer = ApiClient(app).ask("GET", path, headers=sent)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, challenge)


def test_the_last_use_is_noted_once_an_hour(app: Flask) -> None:
    one = program(app, scope="read")
    assert last_used() is None
    one.get("/webhooks")
    first = last_used()
    assert clock.now() - first < timedelta(minutes=1)
    one.get("/webhooks")
    assert last_used() == first
    set_token(last_used_at=first - timedelta(minutes=61))
    one.get("/webhooks")
    assert last_used() >= first


@pytest.mark.parametrize("kind", ["locked", "being read", "read only", "gone"])
def test_noting_a_use_neither_waits_nor_fails(tmp_path: Path, kind: str) -> None:
    url = f"sqlite:///{tmp_path}/book.db?journal_mode=delete"
    at = {"GUESTBOOK_DATA_DIR": str(tmp_path), "GUESTBOOK_DATABASE_URL": url}
    row = {"id": NOBODY, "name": "One", "hash": "x", "created_at": clock.now()}
    with engines.opened(settings.load(at)) as engine, Session(engine, expire_on_commit=False) as session:
        database.create_tables(engine)
        with database.write(engine) as connection:
            connection.execute(insert(Token).values(row))
        token = session.get_one(Token, NOBODY)
        session.commit()
        other = sqlite3.connect(tmp_path / "book.db", isolation_level=None)
        if kind == "read only":
            with engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA query_only = ON")
        for statement in {
            "locked": ["BEGIN IMMEDIATE"],
            "being read": ["BEGIN", "SELECT * FROM tokens"],
            "gone": ["DROP TABLE tokens"],
        }.get(kind, []):
            other.execute(statement)
        began = time.monotonic()
        row_changes.note_use(session, token, clock.now())
        assert time.monotonic() - began < 10  # a pass would wait for twenty seconds
        other.close()
        with engine.connect() as connection:
            wait = connection.exec_driver_sql("PRAGMA busy_timeout").scalar()
            assert wait == engines.FOR_PASSES.read * 1000
            if kind != "gone":
                assert connection.scalar(select(Token.last_used_at)) is None


SLACK = "https://hooks.slack.com/services/T0001/B0001/letmeinletmein"
NTFY = "https://ntfy.sh/?topic=letmein"
LINK_TO_MODERATE = "/moderate/" + "0" * 88
# As programs write it in JSON, in JSON within JSON, in URLs within URLs, and in HTML.
SPELLINGS_OF_SLASH = ("/", "\\/", "\\" * 7 + "/", "%2F", "%252f", "\\u002F", "&#x2F;", "&#47;", "//")


@pytest.fixture
def filled(program: ApiClient) -> tuple[dict[str, str], list[str]]:
    """Fill a book with secret addresses wherever one may stand. Return ids by variable, and the secrets."""
    source = program.post("/sources", {"name": "x", "verify": "none"})
    verified = program.post("/sources", {"name": "y", "verify": "github", "secret": "opensesame"})
    bin_ = program.post("/bins", {"name": "x"})
    webhook_id, ntfy = factories.webhook(SLACK), factories.webhook(NTFY, format="ntfy")
    addresses = [add_link(webhook_id)[1], LINK_TO_MODERATE]
    addresses += [one["url"] for one in (source, verified, bin_)]
    said = "\n".join(one.replace("/", slash) for slash in SPELLINGS_OF_SLASH for one in addresses)
    delivery_id = factories.delivery(webhook_id, payload=said)
    answer = {"response_body": f"{SLACK} {said}", "response_headers": {"Location": SLACK}}
    factories.attempt(delivery_id, **answer, error=addresses[0])
    topic = factories.delivery(ntfy, payload='{"topic": "letmein", "title": "Hi"}')
    factories.attempt(topic, response_body='{"id":"x","topic":"letmein"}')
    bytes_ = base64.b64encode(b"\xff" + said.encode()).decode()
    event_id = factories.inbound(source["id"], payload=bytes_, encoding="base64", error=addresses[0])
    program.client.post(bin_["url"] + "/a?key=letmein", data=said)
    [request] = program.get(f"/bins/{bin_['id']}/requests")["requests"]
    ids = {"webhook_id": webhook_id, "source_id": source["id"], "bin_id": bin_["id"], "event_id": event_id}
    ids |= {"delivery_id": delivery_id, "request_id": request["id"], "event_name": "ping", "topic": topic}
    secrets = [one.rpartition("/")[2] for one in addresses]
    return ids, ["letmein", *secrets]


def all_that_is_read(client: ApiClient, ids: dict[str, str]) -> str:
    """The answers to all calls that read, with whatever base64 carries in clear."""
    reading = [one.removeprefix("GET ") for one in CALLS if one.startswith("GET ") and one != PENDING]
    paths = [re.sub("{(.*?)}", lambda found: ids.get(found[1], ""), one) for one in reading]
    paths = [one for one in paths if not one.endswith("/") and "//" not in one]
    texts = [client.ask("GET", one).text for one in [*paths, f"/deliveries/{ids['topic']}"]]
    packed = client.get(f"/inbox/{ids['event_id']}")["payload"]
    return "\n".join([*texts, base64.b64decode(packed).decode("latin-1")])


@pytest.mark.parametrize("scope", ["read", "moderate", "manage"])
def test_a_token_sees_no_more(app: Flask, filled: tuple[dict[str, str], list[str]], scope: str) -> None:
    ids, secrets = filled
    client = ApiClient(app, new_token(scope=scope))
    seen = all_that_is_read(client, ids)
    may_see = {"read": [], "moderate": ["0" * 88], "manage": secrets}[scope]
    assert [one for one in secrets if one in seen] == [one for one in secrets if one in may_see]
    may_manage = scope == "manage"
    shown = client.get(f"/webhooks/{ids['webhook_id']}")["url"]
    assert shown == (SLACK if may_manage else "https://hooks.slack.com/(hidden)")
    for noun in ("source", "bin"):
        for one in (client.get(f"/{noun}s/{ids[noun + '_id']}"), client.get(f"/{noun}s")[f"{noun}s"][-1]):
            assert (one["url"] == "https://book.example/(hidden)") != may_manage


def test_who_may_moderate_may_change_the_version_that_was_shown(app: Flask) -> None:
    comment_id = factories.sign(f"See https://book.example/bin/{'x' * 32}")
    client = ApiClient(app, new_token(scope="moderate"))
    path = f"/comments/{comment_id}"
    read = client.ask("GET", path)
    assert read.get_json()["message"].endswith("/bin/(hidden)")
    changed = client.ask("PATCH", path, {"reply": "Hi"}, headers={"If-Match": read.headers["ETag"]})
    assert changed.status_code == 200


COMMENT = {"name": "Ada", "message": "Hello"}
ITEM = re.compile(r'"(\w+)";r=(\d+);t=(\d+)')


def left(header: str) -> tuple[str, int, int]:
    """Read the only item of a RateLimit field."""
    found = ITEM.fullmatch(header)
    assert found, header
    return found[1], int(found[2]), int(found[3])


def test_requests_count_by_token(app: Flask, program: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authentication, "token_requests", WindowCounter(2, 60))
    first, second, third = (program.ask("GET", "/webhooks") for _ in range(3))
    assert first.headers["RateLimit-Policy"] == '"token";q=2;w=60'
    assert [left(one.headers["RateLimit"])[:2] for one in (first, second)] == [("token", 1), ("token", 0)]
    assert (third.status_code, third.get_json()["error"]["code"]) == (429, "too_many_requests")
    assert 0 < left(third.headers["RateLimit"])[2] <= int(third.headers["Retry-After"]) <= 60
    assert ApiClient(app, new_token("another")).ask("GET", "/webhooks").status_code == 200
    assert ApiClient(app).ask("GET", "/comments").status_code == 200


def test_a_comment_counts_for_its_network_and_a_refused_one_does_not(anybody: ApiClient) -> None:
    set_(rate="2")
    first = anybody.ask("POST", "/comments", COMMENT)
    refused = anybody.ask("POST", "/comments", {"name": ""})
    second, third = (anybody.ask("POST", "/comments", COMMENT) for _ in range(2))
    answers = (first, refused, second, third)
    assert [one.status_code for one in answers] == [201, 422, 201, 429]
    assert [left(one.headers["RateLimit"])[1] for one in answers] == [1, 1, 0, 0]
    assert {one.headers["RateLimit-Policy"] for one in answers} == {'"comments";q=2;w=600'}
    assert 500 < left(third.headers["RateLimit"])[2] <= int(third.headers["Retry-After"])


def test_what_is_not_limited_names_no_limit(anybody: ApiClient) -> None:
    assert "RateLimit" not in anybody.ask("GET", "/comments").headers
