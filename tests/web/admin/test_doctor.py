"""The page of doctor: for the owner alone, also while the database cannot be used."""

from pathlib import Path

import pytest
from flask import Flask

from guestbook.storage.database import db
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import Visitor, text

URL = "/admin/doctor/"


def test_the_overview_leads_to_it_and_it_shows_what_the_command_prints(app: Flask, owner: Owner) -> None:
    factories.webhook()
    assert URL in {link.attrib["href"] for link in owner.page("/admin/").findall(".//main//a")}
    page = owner.page(URL)
    first, *others = page.findall(".//ul[@class='findings']/li")
    assert first.attrib["class"] == "problem"
    assert "Cron has never come, so nothing is sent." in text(first)
    assert "What to do: Give cron this line" in text(first)
    assert text(first.find(".//pre")).startswith("* * * * * ")
    assert others[-1].attrib["class"] == "ok"
    assert app.secret_key not in text(page)


def test_it_works_while_the_database_is_damaged(app: Flask, owner: Owner, tmp_path: Path) -> None:
    with app.app_context():
        db.engine.dispose()
    (tmp_path / "guestbook.db").write_bytes(b"\xff" * 100_000)
    answer = owner.get("/admin/")
    assert answer.status_code == 500
    assert f'<a href="{URL}">ask doctor</a>' in answer.text
    page = owner.page(URL)
    assert "The database is damaged" in text(page.find(".//li[@class='problem']"))
    assert "restore a backup there" in text(page)
    assert Visitor(app).get(URL).status_code == 303
    assert owner.get("/admin/account/").status_code == 500


@pytest.mark.parametrize("change", ["UPDATE alembic_version SET version_num = '0024'", "DROP TABLE sessions"])
def test_it_works_on_tables_that_do_not_fit(owner: Owner, change: str) -> None:
    factories.sql(change)
    assert "What to do: " in text(owner.page(URL))


def test_a_login_that_has_ended_is_worth_nothing_while_the_database_works(owner: Owner) -> None:
    factories.sql("DELETE FROM sessions")
    assert owner.get(URL).status_code == 303
