"""Each check of doctor fails on its own, on every database and on one that cannot be used."""

import secrets
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from guestbook.background.doctor import State, examination
from guestbook.storage.database import writing
from guestbook.storage.database_errors import Fault
from guestbook.storage.models import BookState
from tests.background.doctor.conftest import Look, found, is_fine
from tests.support import factories
from tests.support.owner import QUICK
from tests.support.socket_receiver import SocketReceiver, silent

SECRET = "a long secret key for the tests of doctor"
EVERY_BOOK = {
    *("data folder", "secret key", "disk space", "database", "writing", "tables", "hosts", "clock", "cron"),
    *("backlog", "webhooks", "base URL", "HTTPS", "proxies", "password", "limits", "versions", "secrets"),
}


@pytest.mark.usefixtures("each_app")
def test_a_healthy_book_needs_nothing_on_any_database(each_environ: dict[str, str]) -> None:
    factories.written(lambda session: session.merge(BookState(name="password", value=QUICK)))
    factories.past_pass(timedelta(minutes=1))
    findings = found(replace(factories.settings(), secret_key=SECRET))
    of_file = {"size", "damage", "journal mode"}
    on_sqlite = each_environ["GUESTBOOK_DATABASE_URL"].startswith("sqlite")
    assert set(findings) - {"outbound proxy", "limits"} == EVERY_BOOK - {"limits"} | (
        of_file if on_sqlite else set()
    )
    bad = {name: one for name, one in findings.items() if one.state is not State.OK and name != "limits"}
    assert bad == {}


def test_a_server_that_is_away_is_one_problem_and_the_rest_is_still_looked_at(look: Look) -> None:
    for url in (
        "postgresql+psycopg://nobody:hush-hush@127.0.0.1:1/nothing",
        "mysql+pymysql://nobody:hush-hush@127.0.0.1:1/nothing",
    ):
        findings = look(database_url=url)
        assert findings["database"].state is State.PROBLEM
        assert findings["database"].sentence.startswith("The database cannot be used now: ")
        assert "See whether the database server runs" in str(findings["database"].advice)
        assert is_fine(findings, "data folder", "versions")
        assert "cron" not in findings
        assert "hush-hush" not in str(findings)


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_says_nothing_is_waited_for_a_few_seconds(look: Look, driver: str) -> None:
    with SocketReceiver(silent) as server:
        began = time.monotonic()
        findings = look(database_url=f"{driver}://nobody@127.0.0.1:{server.port}/nothing")
        assert time.monotonic() - began < 15
    assert findings["database"].state is State.PROBLEM


def test_a_file_that_is_missing_is_not_made(look: Look, tmp_path: Path) -> None:
    findings = look(database_url=f"sqlite:///{tmp_path}/gone.db")
    assert findings["database"].state is State.PROBLEM
    assert "init-db" in str(findings["database"].command)
    assert not (tmp_path / "gone.db").exists()


def test_an_empty_file_has_no_tables(look: Look, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    findings = look(database_url=f"sqlite:///{tmp_path}/empty.db")
    assert is_fine(findings, "database")
    assert findings["tables"].sentence == "The tables are missing."
    assert str(findings["tables"].advice).startswith("If there was a book, restore its backup.")
    assert not {"cron", "clock", "password", "backlog"} & set(findings)  # they would say the same
    assert "init-db" in str(findings["tables"].command)


def test_a_file_that_is_no_database_is_damaged(look: Look, tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(secrets.token_bytes(8192))
    findings = look(database_url=f"sqlite:///{tmp_path}/noise.db")
    assert findings["database"].state is State.PROBLEM
    assert "damaged, or the file is no database" in findings["database"].sentence
    assert "restore a backup there" in str(findings["database"].advice)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("0023", Fault.TOO_OLD.value),
        ("0024", "The tables are older than the program"),
        ("9999", "The tables are newer than the program"),
    ],
)
def test_tables_of_another_version_are_a_problem(look: Look, version: str, said: str) -> None:
    with writing() as session:
        session.connection().exec_driver_sql(f"UPDATE alembic_version SET version_num = '{version}'")
    findings = look()
    assert findings["tables"].sentence == f"{said}."
    assert [name for name, one in findings.items() if one.state is State.PROBLEM] == ["tables"]
    assert "cron" not in findings


def test_a_missing_column_spoils_only_the_checks_that_need_it(look: Look) -> None:
    with writing() as session:
        session.connection().exec_driver_sql("ALTER TABLE webhooks RENAME COLUMN failing_since TO old")
    findings = look()
    assert findings["webhooks"].state is State.PROBLEM
    assert findings["webhooks"].sentence == "The tables are older than the program."
    assert is_fine(findings, "database", "writing", "clock")


def test_a_check_that_breaks_leaves_the_others(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_book: object) -> object:
        raise RuntimeError("oh\nno")

    checks = [replace(one, run=broken) if one.subject == "clock" else one for one in examination.CHECKS]
    monkeypatch.setattr(examination, "CHECKS", checks)
    findings = look()
    assert findings["clock"].state is State.WARNING
    assert findings["clock"].sentence == "This could not be looked at (RuntimeError: oh)."
    assert is_fine(findings, "backlog", "versions")


def test_no_secret_is_shown(app: Flask, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", proxy := "http://me:proxy-password@proxy.example:3128")
    factories.webhook("https://receiver.example/secret-path", name="Chat", failures_in_a_row=1)
    key = secrets.token_hex(32)
    shown = str(look(secret_key=key)) + str(look(outbound_proxy=proxy))
    assert "proxy.example:3128" in shown
    for hidden in (key, "proxy-password", "secret-path", str(app.secret_key)):
        assert hidden not in shown
