"""Sending webmentions: discovery on pages served on loopback, then what the endpoint gets and answers."""

import gzip
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs

import pytest

from guestbook.comments import comment_actions, comment_form
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.outbound import webhooks
from guestbook.outbound.attempt_sender import NO_ENDPOINT
from guestbook.storage import database
from guestbook.storage.models import Comment, Webhook
from tests.support import factories, owned_webhooks, socket_receiver, webmention_pages
from tests.support.receiver import Answer, Receiver
from tests.support.socket_receiver import SocketReceiver, flood
from tests.support.webmention_pages import DISCOVERY_PAGES, HTML, DiscoveryPage, comments

pytestmark = pytest.mark.usefixtures("app")
ONE = DISCOVERY_PAGES[2]


def switch_on() -> str:
    """Let the book send webmentions."""
    return owned_webhooks.add("webmention:").id


def sign(website: str | None, status: str = "published") -> str:
    return factories.sign_draft(Draft("Ada", website, "Hello", {}), Classification(status))


def send(website: str) -> Any:
    """Sign with a website, send the webmention, and return the delivery."""
    switch_on()
    sign(website)
    factories.run_pass()
    (delivery,) = factories.deliveries()
    return delivery


def sent(site: Receiver, path: str = "/endpoint") -> list[dict[str, list[str]]]:
    return [parse_qs(request.body.decode()) for request in site.at(path) if request.method == "POST"]


@pytest.mark.parametrize("page", DISCOVERY_PAGES, ids=lambda page: page.what)
def test_the_endpoint_of_each_page_is_found(page: DiscoveryPage, receiver: Receiver) -> None:
    website = page.serve(receiver)
    delivery = send(website)
    assert delivery.status == "processed", delivery.last_error
    (comment,) = comments()
    source = comment.url(factories.settings().base_url)
    assert sent(receiver, page.endpoint) == [{"source": [source], "target": [website]}]
    assert receiver.at("/false") == []
    (post,) = [request for request in receiver.requests if request.method == "POST"]
    assert post.headers["content-type"] == "application/x-www-form-urlencoded"
    assert not [name for name in post.headers if name.startswith(("webhook-", "x-"))]


def test_a_website_without_an_endpoint_gets_nothing(receiver: Receiver) -> None:
    receiver.answer("/none", Answer(headers=HTML, body=b"<a href='/false'>webmention</a>"))
    delivery = send(receiver.url("/none"))
    assert (delivery.status, delivery.last_error, delivery.attempts) == ("processed", NO_ENDPOINT, 1)
    assert [request.method for request in receiver.requests] == ["GET"]


def test_only_published_comments_with_a_website_are_told(receiver: Receiver) -> None:
    website = ONE.serve(receiver)
    switch_on()
    sign(None)
    held = sign(website, "held")
    sign(website, "spam")
    assert factories.deliveries() == []
    factories.change(held, comment_actions.move, "published")
    assert [row.event for row in factories.deliveries()] == ["comment.published"]


@pytest.mark.usefixtures("app")
def test_comments_that_came_by_webmention_are_told_to_nobody(receiver: Receiver) -> None:
    switch_on()
    webmention_pages.mention(receiver, webmention_pages.page())
    (comment,) = comments()
    assert (comment.status, comment.website) == ("published", "https://ada.example/")
    assert factories.deliveries() == []


def test_a_changed_comment_is_told_again_and_a_new_website_too(receiver: Receiver) -> None:
    old, new = ONE.serve(receiver), receiver.url("/new")
    switch_on()
    comment_id = sign(old)
    for website, words in ((old, "Changed"), (old, "Changed"), (new, "Moved")):
        with database.writing() as session:
            draft = comment_form.read({"name": "Ada", "website": website, "message": words})
            comment_actions.edit(session, session.get_one(Comment, comment_id), draft, factories.settings())
    told = [row.payload.rpartition('"target": ')[2] for row in factories.deliveries()]
    assert sorted(told) == sorted([f'"{old}"}}'] * 3 + [f'"{new}"}}'])


def test_a_removed_comment_is_told_and_one_deleted_for_good_leaves_no_words(receiver: Receiver) -> None:
    website = ONE.serve(receiver)
    switch_on()
    comment_id = sign(website)
    factories.change(comment_id, comment_actions.move, "trash")
    assert [row.event for row in factories.deliveries()] == ["comment.published", "comment.deleted"]
    factories.change(comment_id, comment_actions.delete)
    assert not [row for row in factories.deliveries() if website in row.payload]


@pytest.mark.parametrize("status", [400, 404, 410, 302])
def test_a_refused_webmention_is_not_sent_again(status: int, receiver: Receiver) -> None:
    website = ONE.serve(receiver)
    receiver.answer("/endpoint", Answer(status, headers={"Location": "/elsewhere"}))
    delivery = send(website)
    assert (delivery.status, delivery.last_status_code, delivery.attempts) == ("failed", status, 1)
    assert receiver.at("/elsewhere") == []
    webhook = factories.the(Webhook, delivery.webhook_id)
    assert (webhook.disabled_at, webhook.failures_in_a_row) == (None, 0)


@pytest.mark.parametrize("path", ["/page", "/endpoint"])
@pytest.mark.parametrize("status", [408, 503])
def test_a_site_that_is_away_is_tried_again(path: str, status: int, receiver: Receiver) -> None:
    website = ONE.serve(receiver)
    receiver.answer(path, Answer(status, headers={"Retry-After": "7000"}))
    delivery = send(website)
    assert (delivery.status, delivery.last_status_code) == ("new", status)
    assert (delivery.due_at - delivery.created_at).total_seconds() > 6000
    assert factories.the(Webhook, delivery.webhook_id).paused_until is None


def test_dead_websites_pause_nothing(receiver: Receiver) -> None:
    with Receiver() as closed:
        dead = closed.url("/")
    webhook_id = switch_on()
    for number in range(7):
        sign(f"{dead}{number}")
    factories.run_pass()
    website = ONE.serve(receiver)
    sign(website)
    factories.run_pass()
    assert len(sent(receiver)) == 1
    webhook = factories.the(Webhook, webhook_id)
    assert (webhook.paused_until, webhook.unreachable_in_a_row, webhook.disabled_at) == (None, 0, None)


def test_each_step_is_checked_by_the_guard() -> None:
    """The book may reach 127.0.0.1, and not its neighbour 127.0.0.2."""
    factories.change_settings(allow_networks=(ip_network("127.0.0.1/32"),))
    with Receiver() as site, Receiver(address="127.0.0.2") as inner:
        private = f"http://127.0.0.2:{inner.port}/"
        site.answer("/redirect", Answer(302, headers={"Location": private}))
        site.answer("/endpoint", Answer(headers={"Link": f"<{private}>; rel=webmention"}))
        switch_on()
        for website in (private, site.url("/redirect"), site.url("/endpoint")):
            sign(website)
        factories.run_pass()
        assert inner.requests == []
    rows = factories.deliveries()
    assert [row.status for row in rows] == ["failed"] * 3
    assert all("private or reserved" in row.last_error for row in rows)


def test_huge_and_broken_pages_end(receiver: Receiver) -> None:
    packed = {**HTML, "Content-Encoding": "gzip"}
    receiver.answer("/bomb", Answer(headers=packed, body=gzip.compress(bytes(200_000_000))))
    receiver.answer("/broken", Answer(headers={**packed, "Link": "</endpoint>; rel=webmention"}, body=b"?"))
    with SocketReceiver(
        flood(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", b"<a " * 9999)
    ) as endless:
        switch_on()
        for website in (receiver.url("/bomb"), receiver.url("/broken"), endless.url):
            sign(website)
        factories.run_pass()
    assert [row.last_error for row in factories.deliveries()] == [NO_ENDPOINT, None, NO_ENDPOINT]
    assert len(sent(receiver)) == 1


def test_a_page_that_breaks_off_before_its_endpoint_is_read_again() -> None:
    head, link = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n", b"Link: </endpoint>; rel=webmention\r\n"
    begun = b"Content-Length: 99\r\n\r\n<p>It was"
    with (
        SocketReceiver(socket_receiver.say(head, begun)) as none,
        SocketReceiver(socket_receiver.say(head, link, begun)) as found,
    ):
        switch_on()
        for website in (none.url, found.url):
            sign(website)
        factories.run_pass()
    rows = factories.deliveries()
    assert [row.status for row in rows] == ["new", "processed"]
    assert rows[0].last_error == "The receiver closed the connection without a complete answer."


def test_a_test_says_that_there_is_no_website() -> None:
    webhook = factories.the(Webhook, switch_on())
    kept = webhook.name, webhook.format, webhook.events
    assert kept == ("Webmentions", "webmention", "comment.published comment.deleted")
    with database.writing() as session:
        delivery = webhooks.store_sample(session, webhook, factories.settings())
        assert delivery.status == "failed"
        assert "here is none" in (delivery.last_error or "")
