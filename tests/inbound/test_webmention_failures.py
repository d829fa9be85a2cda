"""Why a webmention failed: each reason is one sentence in every language, and a detail behind it."""

from dataclasses import replace

import pytest
from flask import Flask

from guestbook.inbound import event_actions, event_processor, webmention_pages as pages_of_mentions
from guestbook.lib import body_encoding, parse_html
from guestbook.lib.errors import with_detail
from guestbook.transport.failure import TransportError
from scripts import message_catalogues
from tests.support import inbound_factories, webmention_pages
from tests.support.receiver import Answer, Receiver
from tests.support.webmention_pages import html, mention

OTHER_PAGE = '<a href="{home}comments/' + "a" * 32 + '">a comment</a>'
pytestmark = pytest.mark.usefixtures("any_app")


def packed(encoding: str) -> Answer:
    return Answer(headers={**webmention_pages.HTML, "Content-Encoding": encoding}, body=b"\x0b\x02")


def of_type(content_type: str, body: bytes) -> Answer:
    return Answer(headers={"Content-Type": content_type}, body=body)


ANSWERS = {
    "The page is gone: its server answered 404.": Answer(404),
    "The page is gone: its server answered 410.": Answer(410),
    **{
        f"The page’s server did not send the page. (HTTP {code})": Answer(code)
        for code in (400, 401, 403, 451)
    },
    "The page does not link to the target.": html(
        "{home} <!-- <a href='{home}'> --> &lt;a href='{home}'&gt; <a href='{home}x'>x</a>"
    ),
    "The page does not link to the target, but to another page of this book.": html(OTHER_PAGE),
    "The body is compressed in an unknown way. Only gzip and deflate are supported.": packed("br"),
    "The body claims to be compressed, but cannot be unpacked. (gzip)": packed("gzip"),
    "Only pages in HTML, JSON and plain text can be read. (image/png)": of_type("image/png", b"\x89PNG"),
    "The page claims to be JSON, but is not.": of_type("application/json", b"[" * 100_000),
}


@pytest.mark.parametrize("said", ANSWERS)
def test_the_sender_reads_the_reason_in_each_language(app: Flask, receiver: Receiver, said: str) -> None:
    body = ANSWERS[said].body.replace(b"{home}", webmention_pages.home().encode())
    status = mention(receiver, replace(ANSWERS[said], body=body))
    assert (inbound_factories.row().status, inbound_factories.row().error) == ("failed", said)
    sentence, bracket, detail = said.partition(" (")
    for code in message_catalogues.TRANSLATED:
        page = seen(app, status, code)
        known = message_catalogues.read(code).get(sentence)
        assert f"{known.string}{bracket}{detail} " in page
        assert sentence not in page
    assert f"{said} Nothing was stored." in seen(app, status, "en")


def seen(app: Flask, status: str, language: str) -> str:
    with app.app_context():  # of its own: the language of a page is kept in it
        return app.test_client().get(status, headers={"Accept-Language": language}).text


@pytest.mark.parametrize(("error", "told"), [
    (f"{pages_of_mentions.FETCH_FAILED} {TransportError('private_address', '10.0.0.1')}", ""),
    (with_detail(pages_of_mentions.READING_FAILED, "ZeroDivisionError"), ""),
    (with_detail(pages_of_mentions.NOT_SENT, "HTTP 500"), " (HTTP 500)"),
    (with_detail(parse_html.UNREADABLE_KIND, "x" * 600)[:500], None),
    (with_detail(body_encoding.BROKEN_PACKING, "gzip"), " (gzip)"),
    (with_detail(event_processor.PASSES_ENDED, 10), " (10)"),
    (event_actions.CLOSED, ""),
    (pages_of_mentions.LINKS_ELSEWHERE, ""),
])  # fmt: skip
def test_what_is_the_owner_s_alone_is_left_out(error: str, told: str | None) -> None:
    sentence, detail = pages_of_mentions.for_sender(error)
    assert error.startswith(sentence)
    assert sentence.endswith(".")
    assert detail == (error.removeprefix(sentence) if told is None else told)
    for code in message_catalogues.TRANSLATED:
        assert message_catalogues.read(code).get(sentence), sentence
