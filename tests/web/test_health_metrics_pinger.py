"""A monitor learns whether the database is there and whether cron comes."""

from datetime import timedelta

import guestbook
from guestbook.lib import clock
from tests.storage.test_writable_check import full_disk
from tests.support import factories
from tests.support.visitor import Visitor
from tests.web.test_errors import AWAY


def test_a_book_with_nothing_due_is_well_without_any_pass(visitor: Visitor) -> None:
    response = visitor.get("/healthz")
    assert response.status_code == 200
    assert response.get_json() == {"status": "ok", "last_pass_age": None, "oldest_due_age": None}
    assert response.headers["Cache-Control"] == "no-store"


def test_something_due_and_no_pass_for_long_is_not_well(visitor: Visitor) -> None:
    owe(minutes=20)
    response = visitor.get("/healthz")
    assert response.status_code == 503
    assert response.get_json()["status"] == "cron is late"
    assert 1200 <= response.get_json()["oldest_due_age"] < 1260


def test_it_is_well_again_when_cron_has_come(visitor: Visitor) -> None:
    owe(minutes=20)
    factories.past_pass(timedelta())
    response = visitor.get("/healthz")
    assert response.status_code == 200
    assert 0 <= response.get_json()["last_pass_age"] < 60


def test_without_the_database_it_is_not_well(environ: dict[str, str]) -> None:
    response = Visitor(guestbook.create_app(environ | AWAY)).get("/healthz")
    assert response.status_code == 503
    assert response.get_json()["status"] == "database cannot be used"


def test_on_a_full_disk_it_is_not_well_and_is_again_when_there_is_room(visitor: Visitor) -> None:
    assert visitor.get("/healthz").status_code == 200
    with full_disk():
        response = visitor.get("/healthz")
    assert response.status_code == 503
    assert response.get_json()["status"] == "database cannot be written"
    assert visitor.get("/healthz").status_code == 200


def owe(minutes: float) -> None:
    """Store a delivery that was due so long ago."""
    factories.delivery(factories.webhook(), due_at=clock.now() - timedelta(minutes=minutes))
