"""The source that the book adds for webmentions, as the owner sees it: some of it stays as it is."""

import pytest
from flask import Flask

from guestbook.inbound import sources
from guestbook.lib.errors import Refused
from guestbook.storage import row_changes
from guestbook.storage.database import db
from guestbook.storage.models import Source
from tests.support import factories
from tests.support.owner import Owner

MENTION = {"source": "https://other.example/post", "target": "https://book.example/"}


@pytest.fixture
def source_id(app: Flask) -> str:
    assert app.test_client().post("/webmention", data=MENTION).status_code == 202
    [row] = factories.rows(Source)
    return row.id


def page(owner: Owner, path: str) -> str:
    answer = owner.get(f"/admin/sources/{path}")
    assert answer.status_code == 200
    return answer.text


def test_the_pages_show_it_with_its_address(owner: Owner, source_id: str) -> None:
    assert "Webmention" in page(owner, "")
    shown = page(owner, source_id)
    assert "https://book.example/webmention" in shown
    assert "webmention:" not in shown
    assert "Read the page" in shown


def test_its_name_its_budget_and_who_hears_of_it_can_change(owner: Owner, source_id: str) -> None:
    form = page(owner, f"{source_id}/edit")
    assert 'name="verify"' not in form
    assert 'name="action"' not in form
    answer = owner.post(f"/admin/sources/{source_id}", {"name": "Other sites", "budget_mb": "7"})
    assert answer.status_code == 303, answer.text
    row = factories.the(Source, source_id)
    assert (row.name, row.budget_mb, row.relayed_since) == ("Other sites", 7, None)
    assert (row.verify, row.action, row.is_built_in) == ("none", "webmention", True)


@pytest.mark.parametrize(
    "fields",
    [{"action": "forward"}, {"verify": "github"}, {"template": "{{ 1 }}"}, {"event_condition": "1 == 1"}],
)
def test_the_rest_stays(fields: dict[str, str], source_id: str) -> None:
    with pytest.raises(Refused):
        factories.written(lambda session: sources.update(session, session.get_one(Source, source_id), fields))


@pytest.mark.usefixtures("app")
def test_no_other_source_can_have_its_action() -> None:
    with pytest.raises(Refused):
        factories.written(
            lambda session: sources.add(session, {"name": "Mine", "verify": "none", "action": "webmention"})
        )


def test_a_disabled_one_stores_and_waits(app: Flask, owner: Owner, source_id: str) -> None:
    owner.post(f"/admin/sources/{source_id}/disable", {})
    assert factories.the(Source, source_id).disabled_at
    more = {**MENTION, "source": "https://other.example/2"}
    assert app.test_client().post("/webmention", data=more).status_code == 202


def test_a_deleted_one_comes_back_with_the_next_webmention(app: Flask, owner: Owner, source_id: str) -> None:
    with app.app_context():
        row_changes.delete_with_rows(db.engine, Source, source_id)
    assert app.test_client().post("/webmention", data=MENTION).status_code == 202
    assert "Webmention" in page(owner, "")
