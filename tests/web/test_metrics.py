"""Prometheus reads the book's figures, if it knows the token."""

import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families
from werkzeug.test import TestResponse

from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import VERSION
from guestbook.lib.current_process import StopFlag
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.storage.database import db
from tests.conftest import running
from tests.support import factories
from tests.support.receiver import Answer, Receiver

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
    db.session.rollback()  # a reader would keep SQLite's rollback journal from being written
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    return samples(text_string_to_metric_families(answer.text))


def samples(families: Iterable[Metric]) -> dict[str, float]:
    found = {}
    for family in families:
        assert family.documentation.endswith(".")
        for sample in family.samples:
            named = ((name, value) for name, value in sample.labels.items() if name != "webhook_id")
            labels = "".join(f"{{{name}={value}}}" for name, value in named)
            found[sample.name.removeprefix("guestbook_") + labels] = sample.value
    return found


def test_the_figures_of_a_book(each_measured: Flask) -> None:
    empty = figures(each_measured)
    assert empty[f"info{{version={VERSION}}}"] == 1
    assert "last_pass_age_seconds" not in empty
    assert sum(empty.values()) == 1, "there is nothing else"
    webhook = factories.webhook(url="http://127.0.0.1:1/")
    factories.webhook(paused_until=factories.clock.now())
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


def test_counters_only_grow_whatever_is_deleted(each_measured: Flask, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500), Answer(200), Answer(410))
    one = factories.webhook(receiver.url(), name='a "name"')
    factories.webhook(name="other", events="ping")
    assert figures(each_measured)['attempts_total{webhook=a "name"}{outcome=processed}'] == 0
    for _ in range(3):
        factories.delivery(one)
        factories.run_pass()
    factories.sql("DELETE FROM attempts")
    factories.sql("DELETE FROM deliveries")
    found, named = figures(each_measured), '{webhook=a "name"}'
    made = [found[f"attempts_total{named}{{outcome={how}}}"] for how in ("processed", "retried", "failed")]
    assert made == [1, 2, 0]
    assert found["attempts_total{webhook=other}{outcome=retried}"] == 0
    prefix = f"attempt_duration_seconds_bucket{named}"
    buckets = [value for name, value in found.items() if name.startswith(prefix)]
    assert buckets == sorted(buckets)
    assert buckets[-1] == found[f"{prefix}{{le=+Inf}}"] == 3
    assert found[f"attempt_duration_seconds_count{named}"] == 3
    assert 0 < found[f"attempt_duration_seconds_sum{named}"] < 60


def test_two_passes_at_once_count_each_attempt_once(each_measured: Flask, receiver: Receiver) -> None:
    for webhook_id in [factories.webhook(receiver.url(), name=str(number)) for number in range(3)] * 40:
        factories.delivery(webhook_id)
    engine, settings = db.engine, factories.settings()
    passes = [Dispatcher(engine, settings, concurrency=4) for _ in range(2)]
    how = {"until": time.monotonic() + 30, "stay": False, "stop": StopFlag()}
    with ThreadPoolExecutor(2) as threads:
        for one in passes:
            threads.submit(one.run, **how)
    found = figures(each_measured)
    assert [found[f"attempts_total{{webhook={name}}}{{outcome=processed}}"] for name in range(3)] == [40] * 3


def test_openmetrics_is_spoken_with_those_who_ask_for_it(measured: Flask) -> None:
    factories.webhook()
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
    answer = measured.test_client().get("/metrics", headers=headers)
    assert answer.content_type == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert samples(openmetrics_families(answer.text)) == figures(measured)


WRONG = ["", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xfc"]


@pytest.mark.parametrize("wrong", WRONG)
def test_without_the_token_there_is_no_page(measured: Flask, wrong: str) -> None:
    answer = scrape(measured.test_client(), wrong)
    assert answer.status_code == 404
    assert "guestbook_" not in answer.text


def test_an_older_book_shows_only_those_with_the_token_that_it_is_updated(measured: Flask) -> None:
    factories.sql("UPDATE alembic_version SET version_num = '0024'")
    client = measured.test_client()
    assert [scrape(client, wrong).status_code for wrong in WRONG] == [404] * len(WRONG)
    answer = scrape(client)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "The book is being updated." in answer.text


@pytest.mark.parametrize("given", [*WRONG, "Bearer ", f"Bearer {TOKEN}"])
def test_without_the_setting_there_is_no_page(client: FlaskClient, given: str) -> None:
    assert scrape(client, given).status_code == 404
