"""Each fault of the database has its own answer, and what was stored is never answered with an error."""

import re
import sqlite3
from dataclasses import replace

import pymysql
import pytest
from flask import Flask, Response, request
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from guestbook.storage import engines, preferences
from guestbook.storage.database import db
from guestbook.web import visitor_tokens
from tests.support import factories
from tests.support.visitor import GREETING, Visitor, fields, parse, stored

NUMBER = re.compile("[0-9a-f]{12}")


@pytest.fixture
def outdated(app: Flask) -> Visitor:
    """A book whose tables lack a column that the program has."""
    factories.sql("ALTER TABLE comments RENAME COLUMN website TO old")
    return Visitor(app)


def test_a_missing_column_is_503_with_a_number(outdated: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    answer = outdated.get("/")
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
    number = answer.headers["X-Request-Id"]
    assert NUMBER.fullmatch(number)
    assert number in answer.text
    assert "must update the tables" in answer.text
    assert f"Request {number}: The tables are older than the program" in caplog.text
    assert "Run upgrade." in caplog.text


def test_a_visitor_s_text_survives_a_fault_of_the_tables(outdated: Visitor) -> None:
    form = fields(parse(outdated.send({"token": ""}))) | GREETING | {"message": "Please keep me"}
    answer = outdated.send(form)
    assert answer.status_code == 503
    assert fields(parse(answer)) == form


def test_health_and_status_tell_of_any_table_that_is_too_old(outdated: Visitor) -> None:
    answer = outdated.get("/healthz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "tables are older than the program")
    result = outdated.app.test_cli_runner().invoke(args=["status"])
    assert result.exit_code == 1
    assert "The tables are older than the program" in result.output


def test_health_keeps_its_shape_whatever_is_wrong(app: Flask) -> None:
    def health() -> tuple[int, object]:
        answer = Visitor(app).get("/healthz")
        assert answer.headers["Cache-Control"] == "no-store"
        shown = answer.get_json()
        assert (shown.pop("last_pass_age"), shown.pop("oldest_due_age")) == (None, None)
        return answer.status_code, shown

    for change, status in {
        "ALTER TABLE passes RENAME COLUMN host TO old": "tables are older than the program",
        "DROP TABLE passes": "tables are missing",
    }.items():
        factories.sql(change)
        assert health() == (503, {"status": status})
    app.view_functions["health.healthz"] = lambda: 1 / 0
    assert health() == (503, {"status": "something broke"})


def test_a_request_that_always_has_to_yield_ends_in_time_and_keeps_the_text(app: Flask) -> None:
    tries: list[str] = []
    app.config["WAITS"] = replace(engines.FOR_REQUESTS, retry=0.2)

    def give_way() -> None:
        if request.method == "POST":
            tries.append(request.form["name"])
            raise OperationalError("INSERT", None, pymysql.OperationalError(1213, "Deadlock found"))

    visitor = Visitor(app)
    form = visitor.form() | GREETING
    app.view_functions["public.sign"] = give_way
    answer = visitor.send(form)
    assert (answer.status_code, set(tries)) == (503, {"Ada"})
    assert 2 < len(tries) < 20
    assert fields(parse(answer))["message"] == "Hello"


def cut(engine: Engine) -> None:
    """End all connections of the app, as a restart of the server would."""
    admin = create_engine(engine.url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        if engine.dialect.name == "postgresql":
            others = "pid <> pg_backend_pid() AND datname = current_database()"
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"))
        else:
            processes = "SELECT id FROM information_schema.processlist"
            own = f"{processes} WHERE db = DATABASE() AND id <> CONNECTION_ID()"
            for number in connection.scalars(text(own)).all():
                connection.execute(text(f"KILL {number}"))
    admin.dispose()


def form_of(app: Flask) -> dict[str, str]:
    """The form with its token, as a browser has it that opened the page before."""
    with app.app_context():
        return GREETING | {"token": visitor_tokens.new_token()}


SERVERS = pytest.mark.parametrize("each_environ", ["postgresql", "mariadb"], indirect=True)


@SERVERS
def test_a_restart_of_the_server_after_the_answer_is_made_changes_nothing_of_it(each_app: Flask) -> None:
    visitor, form = Visitor(each_app), form_of(each_app)

    @each_app.after_request
    def restart(response: Response) -> Response:
        db.session.execute(text("SELECT 1"))  # so that a transaction is open
        cut(db.engine)
        return response

    assert visitor.send(form).status_code == 303
    assert [visitor.get(url).status_code for url in ("/", "/healthz")] == [200, 200]
    assert len(stored()) == 1


@SERVERS
def test_a_restart_of_the_server_in_the_middle_of_a_request_is_answered(each_app: Flask) -> None:
    visitor, form = Visitor(each_app), form_of(each_app)

    @each_app.before_request
    def restart() -> None:
        db.session.execute(text("SELECT 1"))
        cut(db.engine)

    answers = [visitor.send(form), visitor.get("/"), visitor.get("/healthz")]
    assert [answer.status_code for answer in answers] == [303, 200, 503]
    assert answers[2].get_json()["status"] == "database cannot be used"
    assert len(stored()) == 1


def test_what_the_owner_has_set_is_not_replaced_by_the_defaults_when_it_cannot_be_read(app: Flask) -> None:
    factories.written(lambda session: preferences.save(session, {"moderation": "all"}))
    form = form_of(app)
    factories.sql("ALTER TABLE settings RENAME COLUMN value TO old")
    answer = Visitor(app).send(form)
    assert (answer.status_code, fields(parse(answer))["message"]) == (503, "Hello")
    assert stored() == []


def test_a_page_whose_connection_cannot_be_made_tries_it_once(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that freezes would let its visitor wait for each of them."""
    tries = []

    def refuse(*_: object, **__: object) -> None:
        tries.append(1)
        error = sqlite3.OperationalError("unable to open database file")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    with app.app_context():
        db.engine.dispose()
        monkeypatch.setattr(db.engine.dialect, "connect", refuse)
    assert Visitor(app).get("/admin/login").status_code == 503
    assert len(tries) == 1
