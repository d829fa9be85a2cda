"""On a book of another version every page says so kindly, and the site comes back after the upgrade."""

import html

import pytest
from flask import Flask
from sqlalchemy import event

from guestbook.storage import schema_version
from guestbook.storage.database import db
from guestbook.storage.database_errors import Fault
from guestbook.web import request_checks
from tests.support import factories
from tests.support.api_client import ApiClient
from tests.support.visitor import Visitor


def set_version(version: str) -> None:
    factories.sql(f"UPDATE alembic_version SET version_num = '{version}'")


@pytest.fixture
def older(app: Flask) -> Visitor:
    set_version("0024")
    return Visitor(app)


@pytest.mark.parametrize("url", ["/", "/comments/01", "/nothing-here"])
def test_visitors_see_that_the_book_is_being_updated(older: Visitor, url: str) -> None:
    answer = older.get(url)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "The book is being updated. Please try again in a few minutes." in answer.text
    assert "upgrade" not in answer.text
    assert older.get("/static/admin.css").status_code == 200


@pytest.mark.parametrize("url", ["/admin/", "/admin/login"])
@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("0023", f"{Fault.TOO_OLD.value}. Upgrade the book with an earlier program first."),
        ("9999", "The tables are newer than the program. Update the program"),
    ],
)
def test_the_admin_pages_say_what_to_do(app: Flask, url: str, version: str, sentence: str) -> None:
    set_version(version)
    answer = Visitor(app).get(url)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert sentence in html.unescape(answer.text)
    assert "flask --app guestbook upgrade" not in answer.text


def test_the_admin_pages_of_an_older_book_lead_to_its_upgrade(older: Visitor) -> None:
    for url in ("/admin/", "/admin/login"):
        answer = older.get(url)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/setup/")
    assert "flask --app guestbook upgrade" in older.get("/admin/setup/").text
    answer = older.open("POST", "/admin/login")
    assert (answer.status_code, "The tables are older than the program." in answer.text) == (503, True)


def test_programs_are_given_an_error_of_the_usual_shape(older: Visitor) -> None:
    answers = [ApiClient(older.app).ask("GET", "/comments"), older.client.post("/hooks/abc", data="x")]
    for answer in answers:
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
        error = answer.get_json()["error"]
        assert error["code"] == "service_unavailable"
        assert error["message"] == "The book is being updated. Please try again in a few minutes."


@pytest.mark.parametrize(
    ("version", "word"),
    [
        ("0023", "older than the program can upgrade"),
        ("0024", "older than the program"),
        ("9999", "newer than the program"),
    ],
)
def test_health_has_a_word_for_it(app: Flask, version: str, word: str) -> None:
    set_version(version)
    answer = Visitor(app).get("/healthz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, f"tables are {word}")


def test_the_site_comes_back_after_the_upgrade_and_looks_at_the_version_no_more(older: Visitor) -> None:
    asked: list[str] = []
    assert older.get("/").status_code == 503
    with older.app.app_context():
        event.listen(db.engine, "checkout", lambda raw, *_: raw.set_trace_callback(asked.append))
    set_version(schema_version.head())
    assert older.get("/").status_code == 200
    assert schema_version.QUERY in asked
    asked.clear()
    assert older.get("/?again").status_code == 200  # no page that is kept
    assert asked
    assert schema_version.QUERY not in asked
    assert request_checks.CHECKED in older.app.extensions
