"""The Webmention endpoint: how pages find it, what it takes, what it stores, what it tells."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select

from guestbook.inbound import ingest, webmentions
from guestbook.storage import database
from guestbook.storage.database import db
from guestbook.storage.models import Source
from guestbook.web import webmention
from tests.support import factories, inbound_factories, webmention_pages
from tests.support.visitor import set_

SOURCE = "https://other.example/post"


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.app_context():
        yield app.test_client()
        db.session.remove()


def post(client: FlaskClient, **fields: str) -> Any:
    return client.post("/webmention", data={"source": SOURCE, "target": webmention_pages.home(), **fields})


def test_each_public_page_names_the_endpoint(client: FlaskClient) -> None:
    comment_id = factories.sign()
    link = f"{factories.settings().base_url}/webmention"
    for path in ("/", f"/comments/{comment_id}"):
        answer = client.get(path)
        assert answer.headers["Link"] == f'<{link}>; rel="webmention"'
        assert f'<link rel="webmention" href="{link}">' in answer.text
    again = client.get("/", headers={"If-None-Match": client.get("/").headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("changes", [{"mentions": "no"}, {"closed": "yes"}])
def test_a_book_that_takes_none_names_no_endpoint(changes: dict[str, str], client: FlaskClient) -> None:
    set_(**changes)
    answer = client.get("/")
    assert "Link" not in answer.headers
    assert "webmention" not in answer.text
    assert post(client).status_code == 404
    assert client.get("/webmention").status_code == 404
    assert len(factories.inbound_events()) == 0


def test_it_stores_the_addresses_and_answers_202_with_a_status_page(client: FlaskClient) -> None:
    answer = post(client)
    row = inbound_factories.row()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"{factories.settings().base_url}/webmention/{row.id}"
    assert row.status == "new"
    assert (
        row.payload
        == "source=https%3A%2F%2Fother.example%2Fpost&target=" + row.payload.partition("target=")[2]
    )
    told = client.get(f"/webmention/{row.id}")
    assert (told.status_code, "It waits." in told.text) == (200, True)


def test_all_of_them_belong_to_one_source_that_the_book_adds(client: FlaskClient) -> None:
    assert db.session.scalar(select(func.count()).select_from(Source)) == 0
    for number in range(3):
        post(client, source=f"{SOURCE}{number}")
    (source,) = db.session.scalars(select(Source))
    assert (source.name, source.verify, source.is_built_in) == ("Webmention", "none", True)
    assert source.url("https://book.example") == "https://book.example/webmention"
    assert {row.source_id for row in inbound_factories.rows()} == {source.id}
    assert client.post(f"/hooks/{source.token}", data=b"{}").status_code == 404


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"source": ""}, "The source is missing."),
        ({"target": ""}, "The target is missing."),
        ({"source": "ftp://other.example/"}, "must be an address that begins with https://"),
        ({"source": "javascript:alert(1)"}, "must be an address that begins with https://"),
        ({"source": "other.example/post"}, "must be an address that begins with https://"),
        ({"source": "https:///post"}, "must be an address that begins with https://"),
        ({"source": "https://[::1/"}, "must be an address that begins with https://"),
        ({"source": "https://a.example:99999/"}, "must be an address that begins with https://"),
        ({"source": "https://user@other.example/"}, "must not contain spaces"),
        ({"source": "https://other.example/a b"}, "must not contain spaces"),
        ({"source": "https://other.example/\x00"}, "must not contain spaces"),
        ({"source": "https://other.example/" + "x" * 500}, "longer than 500 characters"),
        ({"target": "https://other.example/"}, "not a page of this book"),
        ({"target": "HOST/admin/"}, "not a page of this book"),
        ({"target": "HOST/comments/1"}, "not a page of this book"),
        ({"target": "HOST:5001/"}, "not a page of this book"),
        ({"target": "HOST.other.example/"}, "not a page of this book"),
        ({"source": "HOST/?before=1"}, "a page of this book itself"),
        ({"source": "HOST"}, "must be different"),
    ],
)
def test_a_wrong_one_is_refused_kindly(fields: dict[str, str], sentence: str, client: FlaskClient) -> None:
    host = factories.settings().base_url
    answer = post(client, **{name: text.replace("HOST", host) for name, text in fields.items()})
    assert answer.status_code == 400
    assert sentence in answer.text
    assert len(factories.inbound_events()) == 0


def test_a_body_that_is_no_form_is_refused(client: FlaskClient) -> None:
    assert client.post("/webmention", json={"source": SOURCE}).status_code == 400
    assert client.post("/webmention", data=b"\xff\xfe", content_type="text/plain").status_code == 400
    assert client.post("/webmention", data=b"source=%00&target=%ff").status_code == 400
    assert client.post("/webmention", data=b"x" * 70_000).status_code == 413


def test_a_book_in_a_folder_has_pages_only_there() -> None:
    base = "https://example.org/book"
    for target in (
        "https://example.org/book",
        "http://example.org:80/book/?before=1#x",
        f"{base}/comments/{'a' * 32}",
    ):
        assert webmentions.is_page_of(target, base)
    for target in (
        "https://example.org/",
        "https://example.org/bookshop/",
        f"{base}/admin/",
        "https://[",
        "x",
    ):
        assert not webmentions.is_page_of(target, base)


def test_one_that_waits_is_not_stored_again(client: FlaskClient) -> None:
    first = post(client).headers["Location"]
    assert post(client).headers["Location"] == first
    assert post(client, target=webmention_pages.home() + "#other").headers["Location"] != first
    assert len(factories.inbound_events()) == 2


def test_one_network_may_send_so_many(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webmention, "MOST_MENTIONS", 3)
    statuses = [post(client, source=f"{SOURCE}{number}").status_code for number in range(5)]
    assert statuses == [202] * 3 + [429] * 2
    refused = post(client)
    assert 0 < int(refused.headers["Retry-After"]) <= 600
    other = client.post(
        "/webmention",
        data={"source": SOURCE, "target": webmention_pages.home()},
        environ_base={"REMOTE_ADDR": "192.0.2.7"},
    )
    assert other.status_code == 202


def test_they_cannot_fill_the_disk(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    post(client)
    with database.writing() as session:
        source = session.scalars(select(Source)).one()
        source.budget_mb, source.unproven_bytes = 2, 1_999_999
    refused = post(client, source=f"{SOURCE}2")
    assert refused.status_code == 429
    assert "Many webmentions wait for this book" in refused.text
    monkeypatch.setattr(ingest, "MOST_WAITING", 1)
    inbound_factories.change(source_id=inbound_factories.row().source_id, unproven_bytes=0)
    assert post(client, source=f"{SOURCE}3").status_code == 429


@pytest.mark.parametrize("event_id", ["x", "0" * 32, "%00", "a" * 33])
def test_an_unknown_status_page_is_not_there(event_id: str, client: FlaskClient) -> None:
    assert client.get(f"/webmention/{event_id}").status_code == 404
