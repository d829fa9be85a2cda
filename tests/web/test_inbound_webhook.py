"""The receiver of webhooks: every request is stored as it is, and answered at once."""

import base64
import hmac
import http.client
import json
import os
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete, insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from werkzeug.test import EnvironBuilder

from guestbook.inbound import ingest, sender_presets
from guestbook.inbound.sender_presets import SCHEME_DEFAULTS
from guestbook.lib import body_encoding, clock, ids, verification
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND, Source
from guestbook.web.request_checks import BLUEPRINT_LIMIT_BYTES
from tests.inbound import test_sender_presets
from tests.inbound.test_handshakes import MICROSOFT, TWITCH
from tests.support import factories, inbound_factories, processes
from tests.support.visitor import Visitor

LIMIT = BLUEPRINT_LIMIT_BYTES["inbound_webhook"]
KEY = "a secret key for tests alone"


@pytest.fixture
def sender(app: Flask) -> Visitor:
    inbound_factories.source()
    return Visitor(app)


def kept() -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of the only event."""
    row = inbound_factories.row()
    return body_encoding.unpack(row.payload, row.encoding), row.headers


HOSTILE = {
    "nothing": b"",
    "text": b"plain",
    "deep JSON": b"[" * 100_000,
    "no number": b'{"n": NaN}',
    "a huge number": b'{"n": ' + b"9" * 100_000 + b"}",
    "invalid UTF-8": b"\xff\xfe\x80",
    "NUL": b'{"a": "\x00"}',
    "half a character": b'{"a": "\\ud800"}',
    "line ends": b"a\r\nb\rc\n\n",
    "emoji": "🦋 é".encode(),
    "all bytes": bytes(range(256)) * 100,
    "as long as may be": b"x" * LIMIT,
}


def test_what_is_posted_is_stored_byte_for_byte_on_every_database(each_app: Flask) -> None:
    inbound_factories.source()
    for name, sent in HOSTILE.items():
        answer = each_app.test_client().post("/hooks/tok", data=sent, content_type="x/strange")
        assert answer.status_code == 202, name
        body, headers = kept()
        assert body == sent, name
        assert headers["content-type"] == "x/strange"
        row = inbound_factories.row()
        assert answer.json == {"id": row.id, "status": "new"}
        assert (row.status, row.due_at) == ("new", row.received_at)
        factories.sql("DELETE FROM inbound_events")


def test_a_compressed_body_is_stored_as_it_came(sender: Visitor) -> None:
    body, headers = b"\x1f\x8b\x08\x00 not really gzip", {"Content-Encoding": "gzip"}
    assert sender.client.post("/hooks/tok", data=body, headers=headers).status_code == 202
    assert (kept()[0], kept()[1]["content-encoding"]) == (body, "gzip")


def test_a_disabled_source_s_webhooks_are_stored_too(app: Flask) -> None:
    inbound_factories.source(disabled_at=clock.now(), verify="github", secret="x" * 20)
    assert app.test_client().post("/hooks/tok", data=b"unsigned").status_code == 202
    assert kept()[0] == b"unsigned"


def test_too_much_is_refused_and_nothing_of_it_is_stored(sender: Visitor) -> None:
    answer = sender.client.post("/hooks/tok", data=b"x" * (LIMIT + 1))
    assert answer.status_code == 413
    assert answer.json["error"]["code"] == "content_too_large"
    assert inbound_factories.rows() == []


def test_a_chunked_body_over_the_limit_is_refused_and_one_below_it_is_stored(sender: Visitor) -> None:
    for size, status in ((LIMIT + 1, 413), (LIMIT - 5, 202)):
        builder = EnvironBuilder("/hooks/tok", method="POST", input_stream=None, data=b"y" * size)
        environ = builder.get_environ()
        del environ["CONTENT_LENGTH"]
        environ["wsgi.input_terminated"] = True
        assert sender.client.open(environ).status_code == status
    assert kept()[0] == b"y" * (LIMIT - 5)


@pytest.mark.parametrize("token", ["nope", "TOK", "tok ", "é", "x" * 65, "..%2f", "%00", "tok%00"])
def test_an_unknown_token_is_404_in_a_program_s_words(sender: Visitor, token: str) -> None:
    answer = sender.client.post(f"/hooks/{token}", data=b"x")
    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "not_found"


def test_a_source_with_too_much_unprocessed_has_to_wait_and_others_have_not(
    sender: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "MOST_WAITING", 3)
    inbound_factories.source("other")
    for _ in range(3):
        assert sender.client.post("/hooks/tok", data=b"x").status_code == 202
    answer = sender.client.post("/hooks/tok", data=b"x")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "wait to be processed" in answer.json["error"]["message"]
    assert sender.client.post("/hooks/other", data=b"x").status_code == 202
    factories.sql("DELETE FROM inbound_events")
    assert sender.client.post("/hooks/tok", data=b"x").status_code == 202


def test_ten_thousand_is_the_limit_that_is_promised() -> None:
    assert ingest.MOST_WAITING == 10_000


# --- headers


def test_headers_of_the_sender_are_kept_and_those_of_proxies_are_not(sender: Visitor) -> None:
    ours = {"x-github-event": "push", "webhook-id": "1", "stripe-signature": "t=1", "user-agent": "Hookshot"}
    others = {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1", "Accept": "*/*", "Cookie": "a=b"}
    others |= {"Authorization": "Bearer no source asked for it"}
    sender.client.post("/hooks/tok", data=b"x", headers=ours | others)
    assert kept()[1] == ours


@pytest.mark.parametrize("header", ["X-Webhook-Token", "Authorization", "Secret-Of-Mine", "X-Gitlab-Token"])
def test_of_a_secret_only_the_proof_is_kept(app: Flask, header: str) -> None:
    inbound_factories.source(verify="token", secret="the-secret-itself", header=header)
    app.test_client().post("/hooks/tok", data=b"x", headers={header: "the-secret-itself"})
    _, headers = kept()
    assert headers[header.lower()] == verification.proof("the-secret-itself", KEY)
    assert "the-secret-itself" not in json.dumps(inbound_factories.row().headers)


def test_headers_without_end_are_cut_and_fit_into_every_database(each_app: Flask) -> None:
    inbound_factories.source()
    many = {f"X-{number}": "é" * 3000 for number in range(50)} | {"X-Long": "y" * 20_000}
    assert each_app.test_client().post("/hooks/tok", data=b"x", headers=many).status_code == 202
    _, headers = kept()
    assert headers
    assert len(json.dumps(headers)) <= ingest.KEPT_HEADERS_LIMIT + 1000
    assert max(map(len, headers.values())) <= ingest.KEPT_VALUE_LIMIT


# --- handshakes


def test_slack_s_challenge_is_answered_at_once_and_stored_like_the_rest(app: Flask) -> None:
    inbound_factories.source(verify="slack", secret="s" * 32)
    body = {"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}
    answer = app.test_client().post("/hooks/tok", json=body)
    assert (answer.status_code, answer.text) == (200, body["challenge"])
    assert answer.content_type == "text/plain; charset=utf-8"
    assert json.loads(kept()[0]) == body


def test_a_challenge_is_no_way_to_make_other_sources_answer(sender: Visitor) -> None:
    body = {"type": "url_verification", "challenge": "x"}
    assert sender.client.post("/hooks/tok", json=body).status_code == 202


def signed_by(name: str, body: bytes) -> dict[str, str]:
    return test_sender_presets.SIGNERS[name](body, int(clock.now().timestamp()))


def known_sender(name: str) -> None:
    secret = test_sender_presets.KEYS.get(name, test_sender_presets.SECRET)
    preset = sender_presets.settings_of(name)
    scheme = {key: preset.get(key, word) for key, word in SCHEME_DEFAULTS.items()}
    inbound_factories.source(verify=preset["verify"], secret=secret, header=preset["header"], scheme=scheme)


def test_zoom_s_question_is_answered_if_zoom_has_signed_it(app: Flask) -> None:
    known_sender("zoom")
    client = app.test_client()
    body = b'{"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlvZRS6UYooatFL8Aw"}}'
    answer = client.post("/hooks/tok", data=body, headers=signed_by("zoom", body))
    assert answer.status_code == 200
    expected = test_sender_presets.hexed(b"qgg8vlvZRS6UYooatFL8Aw")
    assert answer.json == {"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": expected}
    for headers in ({}, signed_by("zoom", b"{}")):
        stranger = client.post("/hooks/tok", data=body, headers=headers)
        assert stranger.status_code == 202, "or anybody could have anything signed"
        assert expected not in stranger.text
    other = b'{"event": "meeting.started", "payload": {}}'
    assert client.post("/hooks/tok", data=other, headers=signed_by("zoom", other)).status_code == 202
    inbound_factories.process()
    first, *strangers, last = inbound_factories.rows()
    assert first.note == "The sender's handshake, which was answered at once."
    assert [row.status for row in strangers] == ["failed", "failed"]
    assert (last.status, last.event) == ("processed", "meeting.started")


def test_discord_gets_the_answers_that_it_insists_on(app: Flask) -> None:
    known_sender("discord")
    client = app.test_client()
    for body, status, expected in (
        (b'{"type": 1, "id": "1"}', 200, {"type": 1}),
        (b'{"type": 0, "version": 1}', 204, None),
        (b'{"type": 1, "event": {"type": "ENTITLEMENT_CREATE"}}', 204, None),
        (b'{"type": 2, "data": {}}', 200, {"type": 4, "data": {"content": "✓", "flags": 64}}),
    ):
        answer = client.post("/hooks/tok", data=body, headers=signed_by("discord", body))
        assert (answer.status_code, answer.get_json(silent=True)) == (status, expected)
        for headers in ({}, signed_by("discord", body + b" "), {"X-Signature-Ed25519": "00" * 64}):
            assert client.post("/hooks/tok", data=body, headers=headers).status_code == 401
    assert len(inbound_factories.rows()) == 16, "all are stored"


def test_meta_s_challenge_is_answered_only_with_the_token(sender: Visitor) -> None:
    challenge_request = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "tok"}
    answer = sender.client.get("/hooks/tok", query_string=challenge_request)
    assert (answer.status_code, answer.text) == (200, "1158201444")
    assert answer.content_type == "text/plain; charset=utf-8"
    for wrong in ({"hub.verify_token": "no"}, {"hub.mode": "x"}, {"hub.challenge": "<b>é</b>"}):
        assert sender.client.get("/hooks/tok", query_string=challenge_request | wrong).status_code == 403


def test_twitch_s_question_is_answered_if_twitch_has_signed_it(app: Flask) -> None:
    known_sender("twitch")
    client, body = app.test_client(), json.dumps(TWITCH).encode()
    kind = {"Twitch-Eventsub-Message-Type": "webhook_callback_verification"}
    answer = client.post("/hooks/tok", data=body, headers=signed_by("twitch", body) | kind)
    assert (answer.status_code, answer.text) == (200, "pogchamp-kappa-360noscope-vohiyo")
    assert answer.content_type == "text/plain; charset=utf-8"
    assert client.post("/hooks/tok", data=body, headers=signed_by("twitch", b"{}")).status_code == 202
    event = b'{"subscription": {"status": "enabled"}, "event": {}}'
    more = {"Twitch-Eventsub-Subscription-Type": "channel.follow"}
    assert client.post("/hooks/tok", data=event, headers=signed_by("twitch", event) | more).status_code == 202
    inbound_factories.process()
    first, stranger, last = inbound_factories.rows()
    assert first.note == "The sender's handshake, which was answered at once."
    assert stranger.status == "failed"
    own_id = signed_by("twitch", event)["Twitch-Eventsub-Message-Id"]
    assert (last.status, last.event, last.external_id) == ("processed", "channel.follow", own_id)


def test_dropbox_and_a_hub_of_websub_ask_before_they_send(app: Flask) -> None:
    client = app.test_client()
    known_sender("dropbox")
    answer = client.get("/hooks/tok?challenge=AbC-123")
    assert (answer.text, answer.content_type) == ("AbC-123", "text/plain; charset=utf-8")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get("/hooks/tok?challenge=%C3%BC").text.startswith("This address takes webhooks")
    factories.execute(delete(Source))
    known_sender("websub")
    asked = {"hub.mode": "subscribe", "hub.topic": "https://feed.example/", "hub.lease_seconds": "9"}
    assert client.get("/hooks/tok", query_string=asked | {"hub.challenge": "s7D1"}).text == "s7D1"
    assert client.get("/hooks/tok", query_string=asked).status_code == 403
    feed = b"<feed/>"
    client.post("/hooks/tok", data=feed, headers=signed_by("websub", feed))
    inbound_factories.process()
    assert inbound_factories.row().status == "processed"


def test_microsoft_graph_checks_the_address_and_then_sends_its_client_state(app: Flask) -> None:
    known_sender("microsoft-graph")
    client = app.test_client()
    answer = client.post("/hooks/tok", query_string={"validationToken": MICROSOFT}, content_type="text/plain")
    assert (answer.status_code, answer.text) == (200, MICROSOFT)
    assert answer.content_type == "text/plain; charset=utf-8"
    assert inbound_factories.rows() == []
    for state in (test_sender_presets.SECRET, "another"):
        sent = {"value": [{"clientState": state, "changeType": "created"}]}
        assert client.post("/hooks/tok?validationToken=x", json=sent).status_code == 202
    inbound_factories.process()
    assert [row.status for row in inbound_factories.rows()] == ["processed", "failed"]


def test_a_sender_that_signs_the_url_signs_the_one_that_the_book_gave_it(app: Flask) -> None:
    known_sender("twilio")
    client, key = app.test_client(), test_sender_presets.SECRET.encode()
    for query, fields in (("", {"From": "+1", "Body": "Grüße"}), ("?a=1&b=%C3%BC", {"From": "+1"})):
        url = f"{factories.settings().base_url}/hooks/tok{query}"
        signed = url + "".join(name + fields[name] for name in sorted(fields))
        signature = base64.b64encode(hmac.digest(key, signed.encode(), "sha1")).decode()
        for path in (f"/hooks/tok{query}", "/hooks/tok?other"):
            headers = {"X-Twilio-Signature": signature, "Host": "elsewhere.example", ":url": url}
            assert client.post(path, data=fields, headers=headers).status_code == 202
    inbound_factories.process()
    assert [row.status for row in inbound_factories.rows()] == ["processed", "failed"] * 2


def test_a_browser_sees_what_the_address_is_for(sender: Visitor) -> None:
    assert sender.client.get("/hooks/tok").text == "This address takes webhooks, by POST.\n"
    assert sender.client.head("/hooks/tok").status_code == 200
    assert sender.client.get("/hooks/nope").status_code == 404
    assert sender.client.put("/hooks/tok", data=b"x").status_code == 405
    assert inbound_factories.rows() == []


# --- what goes wrong on our side


def test_a_source_deleted_in_this_moment_is_404(sender: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    find = ingest.find

    def find_and_lose(session: Session, token: str) -> Any:
        found = find(session, token)
        session.rollback()
        with database.write(db.engine) as connection:
            connection.execute(delete(Source))
        return found

    monkeypatch.setattr(ingest, "find", find_and_lose)
    assert sender.client.post("/hooks/tok", data=b"x").status_code == 404


@pytest.mark.usefixtures("sender")
def test_without_the_tables_it_says_so_in_the_shape_of_all_errors(app: Flask) -> None:
    factories.sql("DROP TABLE inbound_events")
    answer = app.test_client().post("/hooks/tok", data=b"x")
    assert answer.status_code == 503
    assert answer.get_json()["error"]["message"].startswith("The book is not set up yet")


def test_the_door_looks_along_an_index_however_many_wait(app: Flask) -> None:
    with app.app_context():
        source_id = inbound_factories.source()
        now = clock.now()
        plain = {"source_id": source_id, "headers": {}, "payload": "{}", "encoding": "text", "status": "new"}
        plain |= {"attempts": 0, "claims": 0, "due_at": now, "received_at": now}
        with database.write(db.engine) as connection:
            connection.execute(insert(INBOUND), [{"id": ids.new(), **plain} for _ in range(2000)])
            mine = INBOUND.c.source_id == source_id
            waiting = select(INBOUND.c.id).where(mine, INBOUND.c.due_at.is_not(None))
            if db.engine.dialect.name == "sqlite":
                sql = str(waiting.compile(db.engine, compile_kwargs={"literal_binds": True}))
                plan = " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}"))
                assert "COVERING INDEX inbound_events_by_due" in plan


# --- the real server


@pytest.fixture
def site(environ: dict[str, str], app: Flask, tmp_path: Path) -> Iterator[int]:  # noqa: ARG001  the factories fill it
    inbound_factories.source()
    port = processes.free_port()
    command = [sys.executable, "-m", "flask", "--app", "guestbook", "serve", f"--listen=127.0.0.1:{port}"]
    with processes.started(command, cwd=tmp_path, env=processes.clean_environ(**environ)) as server:
        processes.wait_for(lambda: processes.answers(f"http://127.0.0.1:{port}"), 30, server.output)
        yield port
        assert "Traceback" not in server.output()


def test_a_body_shorter_than_it_says_is_not_stored_and_costs_nobody_else(site: int) -> None:
    with socket.create_connection(("127.0.0.1", site)) as broken:
        broken.sendall(b"POST /hooks/tok HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort")
        assert post(site, b"whole") == 202
        broken.shutdown(socket.SHUT_WR)
        broken.settimeout(10)
        broken.recv(1000)
    assert inbound_factories.row().payload == "whole"


def test_many_senders_at_once_are_all_answered_and_none_is_lost(site: int) -> None:
    statuses: list[int] = []

    def send() -> None:
        statuses.extend(post(site, os.urandom(500).hex().encode()) for _ in range(15))

    with ThreadPoolExecutor(20) as threads:
        for _ in range(20):
            threads.submit(send)
    assert statuses == [202] * 300
    assert len({row.payload for row in inbound_factories.rows()}) == 300


def post(port: int, body: bytes) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request("POST", "/hooks/tok", body)
        return connection.getresponse().status


def test_what_had_to_yield_is_stored_once_and_whole(sender: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole view runs again, when the body has been read."""
    real, fates = ingest.store, iter([True] * 3 + [False])

    def store(*args: Any, **options: Any) -> Any:
        if next(fates):
            raise OperationalError("INSERT", None, Exception(1213, "Deadlock found"))
        return real(*args, **options)

    monkeypatch.setattr(ingest, "store", store)
    assert sender.client.post("/hooks/tok", data=b"hello").status_code == 202
    assert kept()[0] == b"hello"
