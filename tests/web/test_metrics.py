"""Prometheus reads the book's figures, if it knows the token."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from guestbook.comments.moderation_policy import Classification
from guestbook.lib.version import VERSION
from guestbook.queries import bounded_counts
from guestbook.storage import database
from guestbook.storage.database import db
from tests.conftest import running
from tests.support import factories

TOKEN = "a token for the metrics"


@pytest.fixture
def each_measured(each_environ: dict[str, str]) -> Iterator[Flask]:
    with running(each_environ | {"GUESTBOOK_METRICS_TOKEN": TOKEN}) as app, app.app_context():
        yield app


@pytest.fixture
def measured(environ: dict[str, str]) -> Iterator[Flask]:
    with running(environ | {"GUESTBOOK_METRICS_TOKEN": TOKEN}) as app, app.app_context():
        yield app


def scrape(client: FlaskClient, authorization: str = f"Bearer {TOKEN}") -> TestResponse:
    return client.get("/metrics", headers={"Authorization": authorization})


def figures(app: Flask) -> dict[str, float]:
    """The samples by their spelling, as Prometheus' own parser reads them."""
    answer = scrape(app.test_client())
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    found = {}
    for family in text_string_to_metric_families(answer.text):
        assert family.type == "gauge"
        assert family.documentation.endswith(".")
        for sample in family.samples:
            labels = "".join(f"{{{name}={value}}}" for name, value in sample.labels.items())
            found[sample.name.removeprefix("guestbook_") + labels] = sample.value
    return found


def test_the_figures_of_a_book(each_measured: Flask) -> None:
    empty = figures(each_measured)
    assert empty[f"info{{version={VERSION}}}"] == 1
    assert "last_pass_age_seconds" not in empty
    assert sum(empty.values()) == 1, "there is nothing else"
    webhook, paused = (
        factories.webhook(url="http://127.0.0.1:1/"),
        factories.webhook(paused_until=factories.clock.now()),
    )
    factories.inbound(factories.source())
    factories.sign()
    factories.sign(verdict=Classification("held"))
    factories.delivery(webhook, status="failed")
    full = figures(each_measured)
    assert (full["comments{status=published}"], full["comments{status=held}"]) == (1, 1)
    assert (full["deliveries{status=new}"], full["deliveries{status=failed}"]) == (4, 1)
    assert full["inbound_events{status=new}"] == 1
    assert (full["webhooks{state=well}"], full["webhooks{state=paused}"]) == (2, 0)
    assert full["deliveries_due"] == 4
    assert 0 <= full["oldest_due_age_seconds"] < 60
    factories.run_pass()
    after = figures(each_measured)
    assert after["last_pass_deliveries{outcome=retried}"] > 0
    assert after["webhooks{state=failing}"] + after["webhooks{state=paused}"] > 0
    assert 0 <= after["last_pass_age_seconds"] < 60
    assert 0 < after["last_pass_duration_seconds"] < 60
    assert paused


def test_counting_ends_at_the_limit(measured: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_counts, "COUNT_LIMIT", 2)
    webhook = factories.webhook()
    for _ in range(5):
        factories.delivery(webhook)
    found = figures(measured)
    assert (found["deliveries{status=new}"], found["deliveries_due"]) == (3, 3)


WRONG = ["", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xfc"]


@pytest.mark.parametrize("wrong", WRONG)
def test_without_the_token_there_is_no_page(measured: Flask, wrong: str) -> None:
    answer = scrape(measured.test_client(), wrong)
    assert answer.status_code == 404
    assert "guestbook_" not in answer.text


@pytest.mark.parametrize("given", [*WRONG, "Bearer ", f"Bearer {TOKEN}"])
def test_without_the_setting_there_is_no_page(client: FlaskClient, given: str) -> None:
    assert scrape(client, given).status_code == 404


def test_an_older_book_shows_only_those_with_the_token_that_it_is_updated(measured: Flask) -> None:
    with database.write(db.engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0005'")
    client = measured.test_client()
    assert [scrape(client, wrong).status_code for wrong in WRONG] == [404] * len(WRONG)
    answer = scrape(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "The book is being updated." in answer.text
