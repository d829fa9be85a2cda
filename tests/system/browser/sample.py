"""A book in which much has happened, some of it hostile, for tests that look at every page."""

import itertools
from collections.abc import Iterator
from datetime import timedelta

from flask import Flask
from sqlalchemy.orm import Session
from werkzeug.routing import Rule

from guestbook.auth import api_tokens
from guestbook.comments import comment_actions, events_and_reminders, website_forms
from guestbook.comments.events_and_reminders import SignedLink
from guestbook.inbound import request_bins
from guestbook.inbound.request_bins import CapturedRequest
from guestbook.inbound.sender_presets import PRESETS
from guestbook.lib import clock, signatures, signed_links
from guestbook.lib.signed_links import STOP
from guestbook.outbound import receiver_links, webhooks as outbound_webhooks
from guestbook.storage import preferences
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Hold, Webhook
from tests.support import factories, inbound_factories as inbox, visitor
from tests.support.receiver import Answer, Receiver

Rows = dict[str, list[str]]  # by the name of the variable in an address

# Endpoints. Two of them are pages only with a cookie, or of a webmention; two more are of a new book.
NO_PAGES = (
    *("static", "public.picture", "looks.own_css", "inbound_webhook.greet", "pinger.run_pass"),
    *("metrics.show", "own_comment.show", "embed.own_comment.show", "webmention.status"),
    *(f"admin.setup.{name}" for name in ("ask_code", "show_setup", "show_room", "show_key")),
    *(f"receiver.{name}" for name in ("open_link", "index", "show", "payload", "verify")),
    *("receiver.ask_redelivery", "website_form.lead_to_form"),
)
RECEIVER_PAGES = (  # after the first, which sets a cookie, the others open
    "/receiver/{receiver_token}",
    "/receiver/{link_id}/",
    "/receiver/{link_id}/?status=failed",
    "/receiver/{link_id}/redeliver?since=30d",
    "/receiver/{link_id}/redeliver?since=1m",
    "/receiver/{link_id}/deliveries/{delivery_id}/",
    "/receiver/{link_id}/deliveries/{delivery_id}/verify",
)
HOSTILE = "</textarea></pre></td></title><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}"
MESSAGES = (
    "What a lovely little book! We came by on the way to the lighthouse and stayed for tea.",
    "שלום! היה לנו נחמד מאוד",
    "Have a look at https://pictures.example/" + "holiday" * 40 + "\n\nGreetings 🌊🐚👩‍👩‍👧‍👦",
    "W" * 900,
    HOSTILE,
)
NAMES = ("Grace Hopper", "דוד בן־גוריון", "👩‍🚀 Zoë", "N" * 80, '"><b onclick="alert(3)">Bobby</b>')
BROKEN = Answer(
    500, body=b"<h1>Oops</h1><script>alert(4)</script>" + b"x" * 500, headers={"Server": "<b>nginx</b>"}
)


def fill(app: Flask, receiver: Receiver) -> Rows:
    """Fill the book and let two passes of cron come; return ids of rows that differ in how they look."""
    receiver.answer("/broken/" + "path/" * 60, BROKEN)
    with app.app_context():
        webhooks = _add_webhooks(receiver)
        _look_back(webhooks[0])
        comments = _sign()
        links = _links(comments[1])
        sources = _add_sources()
        events = _receive(app)
        factories.run_pass()
        _moderate(comments)
        _set_up()
        factories.run_pass()
        deliveries = _deliveries(webhooks)
        bins, captured = _catch(receiver)
        link_ids, receiver_tokens = _open_to_receiver(webhooks[0])
        key = factories.written(lambda session: website_forms.add(session, "https://a.example/guestbook"))
        factories.alter(Comment, comments[0], page="https://a.example/hello/")
        secret_key = factories.settings().secret_key
    return {
        "webhook_id": webhooks,
        "comment_id": comments[:1],
        "held": comments[1:],
        "token": links[:1],  # of a link to moderate
        "old_token": links[1:],
        "delivery_id": deliveries,
        "bin_id": bins,
        "action": ["clear", "delete"],  # what a bin asks before
        "request_id": captured,
        "source_id": [sources[0], sources[-1]],
        "event_id": events,
        "event_name": ["comment.created"],
        "link_id": link_ids,
        "key": [key],
        "step": [STOP],
        "mail_token": [signed_links.sign(comments[0], f"mail {STOP}", secret_key)],
        "receiver_token": receiver_tokens[:1],
        "old_receiver_token": receiver_tokens[1:],
    }


def addresses(app: Flask, rows: Rows) -> Iterator[str]:
    """Return where each page is that a GET opens: what stands in the addresses' variables are those rows."""
    for rule in app.url_map.iter_rules():
        is_page = rule.endpoint not in NO_PAGES and not rule.rule.startswith("/api/")
        if "GET" in (rule.methods or ()) and is_page:
            yield from _filled(rule, rows)


def _filled(rule: Rule, rows: Rows) -> Iterator[str]:
    names = sorted(rule.arguments - (rule.defaults or {}).keys())
    for values in itertools.product(*(rows[name] for name in names)):
        built = rule.build(dict(zip(names, values, strict=True)))
        assert built
        yield built[1]


def _add_webhooks(receiver: Receiver) -> list[str]:
    events = "comment.created comment.published comment.deleted comment.replied"
    factories.webhook(receiver.url("/gone"), name="Chat of the harbour office", events="webhook.disabled")
    now, headers, broken = clock.now(), {"Authorization": "Bearer 1"}, receiver.url("/broken/" + "path/" * 60)
    rotated = {"signing_key": signatures.new_key(), "previous_signing_key": signatures.new_key()}
    rotated |= {"previous_signing_key_expires_at": now + timedelta(days=1), "github_headers_since": now}
    disabled = {"disabled_at": now - timedelta(days=3), "disabled_reason": "failing"}
    return [
        factories.webhook(receiver.url("/hook"), name="Chat", events=events, headers=headers),
        factories.webhook(broken, name="דוד " + "N" * 76, events=events, **rotated),
        factories.webhook(receiver.url("/off"), name=HOSTILE[:80], **disabled),
    ]


def _look_back(webhook_id: str) -> None:
    """Let there be deliveries of some days and hours ago, for the charts."""
    for hours in (1, 2, 3, 7, 30, 31, 100, 400):
        made = clock.now() - timedelta(hours=hours)
        status = "failed" if hours % 3 == 1 else "processed"
        factories.delivery(
            webhook_id, status=status, created_at=made, attempts=0, last_error="Too long ago. " * 15
        )


def _sign() -> list[str]:
    visitor.add([f"Hello {number}" for number in range(21)])
    for name, message in zip(NAMES, MESSAGES, strict=True):
        factories.sign(message, name)
    comments = [comment for comment in visitor.stored() if not comment.message.startswith("Hello")]
    by_rules = {"status": "held", "reason": "It has many links. " * 9}
    held = visitor.add([HOSTILE], name=NAMES[4], website="javascript:alert(5)", **by_rules)
    visitor.add(["Buy now"], status="spam", reason="It was written in less than a second.")
    visitor.add(["Never mind"], status="trash")
    return [comments[-1].id, *held]


def _links(held_id: str) -> list[str]:
    """Return the token of a link that works, and of one that no longer does."""
    key, now = factories.settings().secret_key, clock.now()
    factories.written(
        lambda session: events_and_reminders.begin_hold(session, session.get_one(Comment, held_id))
    )
    held_at = db.session.get_one(Hold, held_id).held_at
    return [
        SignedLink(held_id, since, now + timedelta(days=1)).token(key)
        for since in (held_at, held_at - timedelta(days=1))
    ]


def _moderate(comments: list[str]) -> None:
    def reply(session: Session) -> None:
        answered = session.get_one(Comment, comments[0])
        comment_actions.reply(
            session, answered, f"Thank you, come again! :-) {HOSTILE}", factories.settings()
        )

    factories.written(reply)


def _set_up() -> None:
    with writing() as session:
        title, prompt = "The lighthouse’s guestbook 🗼", "Be kind.\n" + "W" * 300
        sites = f"https://lighthouse.example https://{'w' * 63}.example"
        shown = {"title": title, "prompt": prompt, "pictures": "drawn"}
        shown |= {"smileys": "yes", "background": "bricks", "moods": f"curious\n{HOSTILE[:40]}"}
        shown["badges"] = f"My cat https://lighthouse.example/{HOSTILE.replace(' ', '')}\n{HOSTILE[:24]}"
        preferences.save(session, {**shown, "embed_sites": sites})
        api_tokens.add(session, HOSTILE[:80])


def _deliveries(webhooks: list[str]) -> list[str]:
    """Return one that was delivered, one that waits for its retry, and one that was never tried."""
    ping, settings = outbound_webhooks.store_sample, factories.settings()
    factories.written(lambda session: ping(session, session.get_one(Webhook, webhooks[0]), settings).id)
    newest = {row.webhook_id: row.id for row in factories.deliveries() if row.comment_id}
    return [newest[webhook_id] for webhook_id in webhooks]


def _open_to_receiver(webhook_id: str) -> tuple[list[str], list[str]]:
    """Add a link for the webhook's receiver, and one that is revoked; return their ids and tokens."""
    with writing() as session:
        webhook = session.get_one(Webhook, webhook_id)
        links = [receiver_links.add(session, webhook, name=name) for name in (NAMES[0], NAMES[4])]
        receiver_links.revoke(session, links[1])
        urls = [receiver_links.url(link, factories.settings()) for link in links]
        return [link.id for link in links], [url.rpartition("/")[2] for url in urls]


def _catch(receiver: Receiver) -> tuple[list[str], list[str]]:
    """Make a bin that has caught much, and an empty one; return them, and what the first has caught."""
    delivered = next(request for request in receiver.requests if request.path == "/hook")
    signed = [(name.title(), value) for name, value in delivered.headers.items()]
    form = ("Content-Type", "application/x-www-form-urlencoded")
    hostile = [("X-Evil", HOSTILE), form, ("X-Long", "W" * 900)]
    path = f"/{HOSTILE}{'path/' * 60}"
    requests = [
        CapturedRequest("POST", "", "", signed, delivered.body, clock.now()),
        CapturedRequest("PROPFIND", path, "W" * 300, hostile, HOSTILE.encode() * 9, clock.now()),
        CapturedRequest("GET", "/", "a=b", [], b"", clock.now()),
        CapturedRequest("PUT", "/", "", [("Webhook-Id", "x")], bytes(range(256)) * 1200, clock.now()),
    ]
    with writing() as session:
        full = request_bins.add(
            session, {"name": HOSTILE[:80], "body": HOSTILE, "delay": "0.5", "fail": "7"}
        ).id
        empty = request_bins.add(session, {"name": "Mine"}).id
        for one in requests:
            request_bins.capture(session, full, one)
        rows = request_bins.latest(session, full, 10)
        return [full, empty], [row.id for row in rows]


def _add_sources() -> list[str]:
    """Add one of each kind, some of them hostile; return them."""
    template = {"action": "comment", "template": PRESETS["github"]}
    bank = {"verify": "hmac", "header": "X-" + "Bank-" * 12, "action": "forward", "template": None}
    bank["scheme"] = {"prefix": "sha256=", "timestamp_header": "X-Time", "content": "{timestamp}.{body}"}
    lamp = {"verify": "token", "header": "X-Token", "template": "{{ no.thing }}"}
    guild = {"verify": "ed25519", "header": "X-Signature-Ed25519", "scheme": {}}
    key, now = signatures.new_secret(), clock.now()
    return [
        inbox.source("github", name="GitHub", verify="github", secret=inbox.SECRET, **template),
        inbox.source("shop", name="S" * 80, verify="stripe", secret="whsec_abc", action="log", template=None),
        inbox.source("chat", name="דוד", verify="slack", secret="s" * 32, action="forward", template=None),
        inbox.source("book", name="Harbour", verify="standard", secret=key, relayed_since=now),
        inbox.source("bank", name="Bank", secret="s" * 200, forwarded_in_full_since=now, **bank),
        inbox.source("guild", name="Guild", secret="3b" * 32, **guild),
        inbox.source("machine", name="Lamp", secret="t" * 32, **lamp),
        inbox.source("open", name=HOSTILE[:80], template=HOSTILE, disabled_at=now),
    ]


def _receive(app: Flask) -> list[str]:
    """Let webhooks come in: one that becomes a comment, hostile ones, and one that waits; return them."""
    client = app.test_client()
    person = {"login": NAMES[4], "html_url": "https://example.org/bobby"}
    roof = {"full_name": "ada/roof", "html_url": "https://example.org/roof"}
    issue = {"number": 5, "title": HOSTILE, "html_url": "https://example.org/5", "body": "W" * 3000}
    opened = {"action": "opened", "issue": issue, "repository": roof, "sender": person}
    sent = [
        client.post("/hooks/github", **inbox.signed(opened, "d1")),
        client.post("/hooks/github", **inbox.signed(opened, HOSTILE[:150], secret="another")),
        client.post("/hooks/chat", data=bytes(range(256)) * 40, headers={"X-Evil": HOSTILE}),
        client.post("/hooks/machine", data=f"a={HOSTILE}&b=2", headers={"X-Token": "t" * 32}),
        client.post("/hooks/open", data=HOSTILE * 50),
    ]
    return [str(answer.get_json()["id"]) for answer in sent]
