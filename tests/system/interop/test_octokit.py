"""GitHub's payloads go through the inbox whatever they hold: real ones of Octokit, hostile ones of ours."""

import hmac
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element

import pytest
from flask.testing import FlaskClient

from guestbook.inbound.samples import SAMPLES
from guestbook.inbound.sender_presets import PRESETS
from tests.support import amount, factories, inbound_factories
from tests.support.receiver import Receiver
from tests.support.visitor import parse
from tests.system.interop import npm
from tests.system.interop.conftest import add_source, post

SECRET = "It's a Secret to Everybody"
EVERYTHING = "{{ payload|string }}"  # a template that leaves nothing out
MADE_HERE = {"article", "p", "footer", "span", "a", "bdi", "time"}  # the elements of a comment
HARMLESS = ("", "http", "https", "mailto")
TURNING = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

SCRIPT, LINK, BRACES = (
    "<script>alert(1)</script>",
    "[click](javascript:alert(1))",
    "{{ 7*7 }}{% for x in y %}",
)
TURNED = "\u202egnp.exe\u202c \u2066inner\u2069"  # characters that turn the direction of what follows
HOSTILE = f'{SCRIPT} "><img src=x onerror=alert(1)> {LINK} {BRACES} {TURNED}'
FIXED = {"action", "ref", "state", "conclusion", "privacy_level"}  # no stranger chooses what stands there

Sent = tuple[tuple[str, Any], ...]


def hostile(value: Any) -> Any:
    """Put hostile text wherever a stranger may put some."""
    if isinstance(value, dict):
        return {key: inner if key in FIXED else hostile(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [hostile(inner) for inner in value]
    is_address = isinstance(value, str) and value.startswith("https:")
    return "javascript:alert(1)//" if is_address else HOSTILE if isinstance(value, str) else value


PAYLOADS: Sent = (
    ("ping", {"zen": f"Speak {LINK}", "hook_id": 1}),
    *((one.headers["x-github-event"], hostile(one.payload)) for one in SAMPLES["github"]),
)


def real_ones(most: int | None = None) -> Sent:
    """Load the payloads of @octokit/webhooks-examples, each with its event: all, or so many of each event."""
    path = npm.examples()
    assert path
    kinds = json.loads(Path(path).read_text())
    return tuple((kind["name"], example) for kind in kinds for example in kind["examples"][:most])


@pytest.fixture(params=["ours", pytest.param("octokit", marks=pytest.mark.needs("octokit"))])
def sent(request: pytest.FixtureRequest) -> Sent:
    return PAYLOADS if request.param == "ours" else real_ones(amount.examples(2))


def post_signed(client: FlaskClient, token: str, event: str, body: bytes, **headers: str) -> None:
    """Send it as GitHub does, signed over the exact bytes."""
    signature = "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()
    named = {"X-GitHub-Event": event, "X-GitHub-Delivery": str(uuid.uuid4())}
    post(client, token, {**named, "X-Hub-Signature-256": signature, **headers}, body)


def post_all(client: FlaskClient, token: str, sent: Sent) -> None:
    for event, payload in sent:
        post_signed(client, token, event, json.dumps(payload).encode())


@pytest.mark.needs("octokit")
def test_the_collection_is_whole() -> None:
    sent = real_ones()
    assert len(sent) >= 329
    assert len({event for event, _ in sent}) >= 58


def test_every_payload_goes_through_each_action_without_a_fault(
    client: FlaskClient, receiver: Receiver, sent: Sent
) -> None:
    factories.webhook(receiver.url(), events="inbound.received")
    for action, template in (("log", None), ("comment", PRESETS["github"]), ("forward", None)):
        post_all(client, add_source("github", SECRET, action, template), sent)
    factories.run_pass()
    rows = inbound_factories.rows()
    assert len(rows) == 3 * len(sent)
    assert {(row.status, row.error) for row in rows} == {("processed", None)}
    assert all(row.event and row.external_id for row in rows)
    forwarded = [event for event, _ in sent if event != "ping"]
    assert Counter(row.status for row in factories.deliveries()) == {"processed": len(forwarded)}
    event_names = [
        request.json["data"]["inbound"]["event"].partition(".")[0] for request in receiver.requests
    ]
    assert sorted(event_names) == sorted(forwarded)


@pytest.mark.parametrize("template", [PRESETS["github"], EVERYTHING], ids=["ready", "everything"])
def test_none_of_their_markup_is_alive_on_the_page(client: FlaskClient, sent: Sent, template: str) -> None:
    post_all(client, add_source("github", SECRET, "comment", template), sent)
    factories.run_pass()
    comments = [comment for page in pages(client) for comment in page.iter("article")]
    assert len(comments) == len([row for row in inbound_factories.rows() if row.comment_id])
    assert comments
    assert [fault for comment in comments for fault in faults(comment)] == []


def test_what_looks_like_markup_is_there_as_text(client: FlaskClient) -> None:
    post_all(client, add_source("github", SECRET, "comment", PRESETS["github"]), PAYLOADS)
    factories.run_pass()
    shown = "".join(words for page in pages(client) for words in page.itertext())
    assert all(words in shown for words in (SCRIPT, LINK, BRACES))
    assert TURNED not in shown
    assert "gnp.exe inner" in shown


def test_github_sends_forms_unless_told_otherwise_and_they_are_read_as_well(client: FlaskClient) -> None:
    token = add_source("github", SECRET, "comment", PRESETS["github"])
    for event, payload in PAYLOADS:
        body = urlencode({"payload": json.dumps(payload)}).encode()
        post_signed(client, token, event, body, **{"Content-Type": "application/x-www-form-urlencoded"})
    post_all(client, add_source("github", SECRET, "comment", PRESETS["github"]), PAYLOADS)
    factories.run_pass()
    rows = [(row.status, row.event, row.sender, bool(row.comment_id)) for row in inbound_factories.rows()]
    assert rows[: len(PAYLOADS)] == rows[len(PAYLOADS) :]
    assert {row[0] for row in rows} == {"processed"}


def pages(client: FlaskClient) -> Iterator[Element]:
    """All pages of the book, from the newest."""
    url: str | None = "/"
    while url:
        page = parse(client.get(url))
        yield page
        older = page.find(".//a[@rel='next']")
        url = None if older is None else older.get("href")


def faults(comment: Element) -> list[str]:
    """What is alive in a comment that we did not put there."""
    found = [f"<{one.tag}>" for one in comment.iter() if one.tag not in MADE_HERE]
    for one in comment.iter():
        found += [name for name in one.attrib if name.startswith("on") or name in ("style", "src")]
        if urlsplit(one.get("href", "")).scheme not in HARMLESS:
            found.append(one.attrib["href"])
    return found + sorted(TURNING & set("".join(comment.itertext())))
