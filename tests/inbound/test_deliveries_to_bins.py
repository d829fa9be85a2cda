"""A pass hands what the book sends to its own bins over without the network, on every host."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask

from guestbook.inbound import request_bins
from guestbook.inbound.inbox import Inbox
from guestbook.lib.errors import Refused
from guestbook.outbound import webhook_urls
from guestbook.storage import row_changes
from guestbook.storage.database import db
from guestbook.storage.models import Bin, BinRequest
from guestbook.transport.failure import TransportError
from tests.conftest import running
from tests.support import factories

HOME = "http://127.0.0.1:65000"  # Nobody listens there, and the book may reach no private address.


@contextmanager
def unreachable(environ: dict[str, str]) -> Iterator[Flask]:
    settings = {**environ, "GUESTBOOK_BASE_URL": HOME, "GUESTBOOK_ALLOW_NETWORKS": ""}
    with running(settings) as app, app.app_context():
        yield app
        db.session.remove()


@pytest.fixture
def app(environ: dict[str, str]) -> Iterator[Flask]:
    with unreachable(environ) as app:
        yield app


@pytest.fixture
def each_app(each_environ: dict[str, str]) -> Iterator[Flask]:
    with unreachable(each_environ) as app:
        yield app


def bin_url(**fields: object) -> str:
    return factories.written(lambda session: request_bins.add(session, fields).url(HOME))


def check(row: BinRequest) -> request_bins.Check:
    return factories.read(lambda session: request_bins.check_of(session, row))


@pytest.mark.usefixtures("each_app")
def test_it_arrives_signed_with_its_headers_path_and_query() -> None:
    webhook_id = factories.webhook(bin_url() + "/deep/er?a=b")
    factories.sign("Hello")
    assert factories.run_pass().processed == 1
    [row] = factories.rows(BinRequest)
    headers = dict(row.pairs)
    assert (row.method, row.path, row.query) == ("POST", "/deep/er", "a=b")
    assert (headers["Host"], headers["Content-Length"]) == ("127.0.0.1:65000", str(len(row.kept)))
    [delivery] = factories.deliveries()
    assert (row.kept, headers["webhook-id"], delivery.webhook_id) == (
        delivery.body,
        delivery.event_id,
        webhook_id,
    )
    assert [found.matches for found in check(row).findings] == [True, True]


@pytest.mark.usefixtures("app")
def test_a_bin_that_fails_is_tried_again() -> None:
    factories.webhook(bin_url(fail=1, body="Thanks"))
    factories.sign()
    assert factories.run_pass().retried == 1
    assert factories.one().last_error == "The receiver answered 500."
    factories.all_due()
    assert factories.run_pass().processed == 1
    assert [row.answered for row in factories.rows(BinRequest)] == [500, 200]
    assert [one.response_body for one in factories.attempts()] == ["This bin is set to fail.\n", "Thanks"]


@pytest.mark.usefixtures("app")
def test_many_at_once_each_leave_a_request() -> None:
    factories.webhook(bin_url())
    for number in range(20):
        factories.sign(f"Hello {number}")
    assert factories.run_pass().processed == 20
    assert len({row.event_id for row in factories.rows(BinRequest)}) == 20


def test_a_bin_that_answers_too_slowly_counts_as_late(app: Flask) -> None:
    url = bin_url(delay=0.2)
    inbox = Inbox(db.engine, app.config["GUESTBOOK"])
    with pytest.raises(TransportError, match="did not answer in time"):
        inbox.take_delivery(url, {}, b"{}", 0.05)
    answer = inbox.take_delivery(url, {}, b"{}", 5)
    assert (answer.status, len(factories.rows(BinRequest))) == (200, 2)


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("path", ["/bin/gone", "/bin/" + "x" * 32, "/bin/", "/hooks/x"])
def test_all_else_goes_by_the_network_with_its_rules(path: str) -> None:
    factories.webhook(HOME + path)
    factories.sign()
    factories.run_pass()
    assert factories.one().last_error.startswith("The host has a private or reserved address")


def test_its_url_is_accepted_without_https_and_on_a_private_address(app: Flask) -> None:
    strict = replace(app.config["GUESTBOOK"], require_https_webhooks=True)
    url = bin_url()
    assert webhook_urls.checked(url, strict) == url
    assert webhook_urls.warnings(url.replace("127.0.0.1", "localhost"), strict) != []
    assert webhook_urls.warnings(url, strict) == []
    with pytest.raises(Refused, match="must start with https"):
        webhook_urls.checked(HOME + "/hooks/x", strict)
    with pytest.raises(Refused, match="private"):
        webhook_urls.checked(HOME + "/hooks/x", replace(strict, require_https_webhooks=False))


@pytest.mark.usefixtures("app")
def test_a_bin_that_is_deleted_meanwhile_leaves_the_delivery_to_be_retried() -> None:
    factories.webhook(bin_url())
    factories.sign()
    row_changes.delete_with_rows(db.engine, Bin, factories.rows(Bin)[0].id)
    factories.run_pass()
    assert factories.one().due_at > factories.one().created_at + timedelta(seconds=1)


def test_the_books_address_may_have_capitals_and_the_usual_port(environ: dict[str, str]) -> None:
    settings = {**environ, "GUESTBOOK_BASE_URL": "HTTP://LocalHost:80/", "GUESTBOOK_ALLOW_NETWORKS": ""}
    with running(settings) as app, app.app_context():
        read = app.config["GUESTBOOK"]
        url = factories.written(lambda session: request_bins.add(session, {}).url(read.base_url))
        factories.webhook(webhook_urls.checked(url, read))
        factories.sign()
        assert factories.run_pass().processed == 1
        assert len(factories.rows(BinRequest)) == 1
