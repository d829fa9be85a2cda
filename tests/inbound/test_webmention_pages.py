"""Pages that are away, slow, huge or elsewhere: each is read within limits, and tried again if it may."""

import gzip
import time
from datetime import timedelta
from ipaddress import ip_network

import pytest
from flask import Flask
from sqlalchemy import update

from guestbook.inbound import webmention_pages as pages_of_mentions
from guestbook.inbound.event_processor import PASSES_ENDED, Processor
from guestbook.inbound.webmention_pages import FETCH_FAILED
from guestbook.lib import clock
from guestbook.outbound.rate_and_time_limits import TimeLimit
from guestbook.queue import clock_repair
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import INBOUND
from guestbook.transport.failure import FAILURE_SENTENCES
from guestbook.transport.http_request_and_redirects import PAGE_LIMIT
from tests.support import factories, inbound_factories, socket_receiver, webmention_pages
from tests.support.receiver import Answer, Receiver
from tests.support.socket_receiver import SocketReceiver, drip, flood, hold
from tests.support.webmention_pages import comments, html, mention, mention_url, page

pytestmark = pytest.mark.usefixtures("any_app")


def failure(receiver: Receiver, path: str = "/post") -> str:
    """Send a webmention that fails at once, and return why."""
    mention(receiver, path=path)
    row = inbound_factories.rows()[-1]
    assert row.status == "failed"
    inbound_factories.check()
    return str(row.error)


def test_a_page_that_is_away_is_tried_again_by_the_schedule(app: Flask, receiver: Receiver) -> None:
    status = mention(receiver, Answer(503, headers={"Retry-After": "3000"}), Answer(500), page())
    row = inbound_factories.row()
    assert (row.status, row.attempts, row.claims) == ("new", 1, 1)
    assert row.error == "The page’s server did not send the page. (HTTP 503)"
    assert (row.due_at - clock.now()).total_seconds() > 2500
    assert "try again" in app.test_client().get(status).text
    for attempts in (2, 3):
        webmention_pages.make_due()
        webmention_pages.read()
        row = inbound_factories.row()
        assert row.attempts == attempts
    assert (row.status, row.error) == ("processed", None)
    assert len(comments()) == 1


def test_a_used_up_schedule_is_a_failure(receiver: Receiver) -> None:
    factories.change_settings(retry_schedule=(0.0, 1.0, 1.0))
    mention(receiver, Answer(500))
    for _ in range(2):
        webmention_pages.make_due()
        webmention_pages.read()
    row = inbound_factories.row()
    assert (row.status, row.attempts, len(receiver.requests)) == ("failed", 3, 3)


def test_a_comment_outlives_a_page_that_is_only_away(receiver: Receiver) -> None:
    mention(receiver, page(), Answer(500))
    mention(receiver)
    assert [one.status for one in comments()] == ["published"]


def test_a_connection_that_cannot_be_made_is_tried_again(app: Flask) -> None:
    with Receiver() as closed:
        url = closed.url("/post")
    status = mention_url(url)
    row = inbound_factories.row()
    assert (row.status, row.attempts) == ("new", 1)
    assert row.error.startswith("The page could not be fetched. The connection could not be made.")
    assert "connection" not in app.test_client().get(status).text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int, receiver: Receiver) -> None:
    place = "/ü/a b\\c".encode().decode("latin-1")
    receiver.answer("/post", Answer(status, headers={"Location": place}))
    receiver.answer("/%C3%BC/a%20b%5Cc", Answer(status, headers={"Location": "../c#part"}))
    receiver.answer("/c", page())
    mention(receiver)
    (comment,) = comments()
    assert comment.origin.url == receiver.url("/post")


def test_links_are_relative_to_the_page_after_redirects(receiver: Receiver) -> None:
    factories.change_settings(base_url=f"{receiver.url('')}/book")
    with Receiver() as other:
        other.answer("/post", Answer(302, headers={"Location": receiver.url("/blog/post")}))
        receiver.answer("/blog/post", html('<a href="../book/">the book</a>'))
        mention(other)
    assert len(comments()) == 1


def test_redirects_end_after_five(receiver: Receiver) -> None:
    receiver.answer("/post", Answer(302, headers={"Location": "/post"}))
    assert "more than five times" in failure(receiver)
    assert len(receiver.requests) == 6


def test_a_third_party_to_which_a_page_redirects_is_asked_in_one_attempt_only() -> None:
    with Receiver() as named, Receiver(address="127.0.0.2") as third:
        named.answer("/post", Answer(302, headers={"Location": f"http://127.0.0.2:{third.port}/"}))
        third.answer("/", Answer(503), page())
        assert "HTTP 503" in failure(named)
        mention(named)  # a page may well have moved
        assert [len(one.requests) for one in (named, third)] == [2, 2]
    assert len(comments()) == 1


def test_a_page_that_redirects_has_three_attempts(receiver: Receiver) -> None:
    receiver.answer("/post", Answer(302, headers={"Location": "/there"}))
    receiver.answer("/there", Answer(503))
    mention(receiver)
    for _ in range(5):
        webmention_pages.make_due()
        webmention_pages.read()
    row = inbound_factories.row()
    assert (row.status, row.attempts, len(receiver.requests)) == ("failed", 3, 6)


def test_a_host_gets_so_many_requests_a_minute_whoever_leads_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_of_mentions.hosts, "most", 2)
    with Receiver(address="127.0.0.2") as third:
        third.answer("/", page())
        for number in range(3):
            with Receiver(address=f"127.0.1.{number}") as named:
                named.answer("/post", Answer(302, headers={"Location": f"http://127.0.0.2:{third.port}/"}))
                mention_url(f"http://127.0.1.{number}:{named.port}/post")
        assert len(third.requests) == 2
    row = inbound_factories.rows()[-1]
    assert (row.status, row.error) == ("new", f"{FETCH_FAILED} {FAILURE_SENTENCES['host_busy']}")
    assert 50 < (row.due_at - clock.now()).total_seconds() < 70


def test_each_redirect_is_checked_by_the_guard() -> None:
    """The book may reach 127.0.0.1; its neighbour 127.0.0.2 is as private as any address."""
    factories.change_settings(allow_networks=(ip_network("127.0.0.1/32"),))
    with Receiver() as open_, Receiver(address="127.0.0.2") as inner:
        hosts = ("127.0.0.2", "[::ffff:127.0.0.2]", "2130706434")
        places = [f"http://{host}:{inner.port}/" for host in hosts]
        places += ["http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "ftp://127.0.0.1/"]
        places += [f"http://a:b@127.0.0.1:{open_.port}/ok", "http://["]
        for number, place in enumerate(places):
            open_.answer(f"/far{number}", Answer(302, headers={"Location": f"/near{number}"}))
            open_.answer(f"/near{number}", Answer(307, headers={"Location": place}))
            assert failure(open_, f"/far{number}").startswith("The page could not be fetched. ")
        assert inner.requests == []
        assert open_.at("/ok") == []


def test_a_private_source_is_never_asked(receiver: Receiver) -> None:
    factories.change_settings(allow_networks=())
    assert "private or reserved" in failure(receiver)
    assert receiver.requests == []


@pytest.mark.parametrize("behave", [
    socket_receiver.silent,
    hold(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n", b"<p>"),
    drip(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"x"),
], ids=["silent", "stalls", "drips"])  # fmt: skip
def test_a_slow_page_ends_in_time(behave: socket_receiver.Behaviour) -> None:
    factories.change_settings(timeout=1.0)
    with SocketReceiver(behave) as slow:
        began = time.monotonic()
        mention_url(slow.url)
        assert time.monotonic() - began < 20  # it would last for ever
        row = inbound_factories.row()
        assert (row.status, row.attempts) == ("new", 1)


def test_an_endless_page_is_cut() -> None:
    start = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"
    with SocketReceiver(flood(start, b"<p>words " * 999)) as endless:
        mention_url(endless.url)
    assert inbound_factories.row().error == "The page does not link to the target in its first megabyte."


def test_a_link_in_the_first_megabyte_counts(receiver: Receiver) -> None:
    link = f'<a href="{webmention_pages.home()}">book</a>'
    mention(receiver, html(link + "x" * (2 * PAGE_LIMIT)))
    assert len(comments()) == 1


def test_a_compressed_page_is_unpacked_up_to_the_limit(receiver: Receiver) -> None:
    packed = gzip.compress(page().body)
    mention(receiver, Answer(headers={**webmention_pages.HTML, "Content-Encoding": "gzip"}, body=packed))
    assert len(comments()) == 1
    bomb = gzip.compress(bytes(30 * PAGE_LIMIT))
    receiver.answer("/bomb", Answer(headers={**webmention_pages.HTML, "Content-Encoding": "gzip"}, body=bomb))
    assert failure(receiver, "/bomb") == "The page does not link to the target."


@pytest.mark.parametrize(("kind", "body"), [
    ("application/json", '{{"deep": [{{"link": "{home}"}}]}}'),
    ("application/ld+json", '["{home}"]'),
    ("text/plain", "See {home} or <{home}>."),
    ("application/xhtml+xml", '<a href="{home}"/>'),
])  # fmt: skip
def test_other_kinds_of_pages_may_link_too(kind: str, body: str, receiver: Receiver) -> None:
    text = body.format(home=webmention_pages.home())
    mention(receiver, Answer(headers={"Content-Type": kind}, body=text.encode()))
    (comment,) = comments()
    assert comment.message == "mentioned this book."


def test_a_slow_page_delays_no_other(receiver: Receiver) -> None:
    with SocketReceiver(socket_receiver.silent) as silent:
        webmention_pages.send(silent.url)
        receiver.answer("/post", page())
        # Pages of one host wait for each other.
        elsewhere = receiver.url("/post").replace("127.0.0.1", "localhost")
        webmention_pages.send(elsewhere)
        db.session.rollback()
        inbox = Processor(db.engine, factories.settings())
        until = time.monotonic() + 10  # the silent one is given up after 15
        while not comments():
            assert time.monotonic() < until
            inbox.work()
            time.sleep(0.01)
        assert sorted(row.status for row in inbound_factories.rows()) == ["new", "processed"]
        silent.close()
        inbox.close()
        assert not [row for row in inbound_factories.rows() if row.claimed_by]


def test_a_page_over_which_ten_passes_ended_is_left_alone(receiver: Receiver) -> None:
    receiver.answer("/post", page())
    webmention_pages.send(receiver.url("/post"))
    factories.execute(update(INBOUND).values(claims=10))
    webmention_pages.read()
    row = inbound_factories.row()
    assert (row.status, row.error) == ("failed", f"{PASSES_ENDED} (10)")
    assert receiver.requests == []


def test_a_celery_worker_reads_the_page_too(app: Flask, receiver: Receiver) -> None:
    receiver.answer("/post", page())
    webmention_pages.send(receiver.url("/post"))
    event_id = inbound_factories.row().id
    with database.write(db.engine) as connection:
        leased = {"claimed_by": "relay.1", "due_at": clock.now() + timedelta(minutes=5)}
        connection.execute(update(INBOUND).values(leased))
    counts = Processor(db.engine, app.config["GUESTBOOK"]).work_on(event_id, "relay.1")
    assert (counts.processed, len(comments())) == (1, 1)


def test_a_pass_without_threads_reads_pages_in_its_time(app: Flask, receiver: Receiver) -> None:
    receiver.answer("/post", page())
    for number in range(3):
        webmention_pages.send(receiver.url("/post"), f"{webmention_pages.home()}#{number}")
        receiver.answer("/post", html(f'<a href="{webmention_pages.home()}#{number}">x</a>'))
    settings = app.config["GUESTBOOK"]
    over = Processor(db.engine, settings, threads=False, limit=TimeLimit(time.monotonic() - 1))
    over.work()
    over.close()
    assert receiver.requests == []
    assert {(row.status, row.claimed_by) for row in inbound_factories.rows()} == {("new", None)}
    inbox = Processor(db.engine, settings, threads=False, limit=TimeLimit(time.monotonic() + 60))
    while inbox.work():
        pass
    assert inbox.counts.processed + inbox.counts.refused == 3


def test_retries_survive_the_repair_of_the_clock(app: Flask, receiver: Receiver) -> None:
    mention(receiver, Answer(503, headers={"Retry-After": "80000"}))
    before = inbound_factories.row().due_at
    settings = app.config["GUESTBOOK"]
    clock_repair.repair(db.engine, settings.timeout, settings.retry_schedule)
    assert inbound_factories.row().due_at == before
