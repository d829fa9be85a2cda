"""What the pages of webhooks and of sources have alike: lists, buttons, secrets, the end, each database."""

import time
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import pytest

from guestbook.lib import signatures
from guestbook.storage import database
from guestbook.storage.database import db
from tests.support import factories, source_pages, webhook_pages
from tests.support.owner import Owner
from tests.support.visitor import by_class, parse, plain, text
from tests.support.webhook_pages import part, value


@pytest.fixture(params=[webhook_pages, source_pages], ids=["webhooks", "sources"])
def pages(request: pytest.FixtureRequest) -> ModuleType:
    return request.param


def put(pages: ModuleType, row_id: str) -> str:
    """Store a delivery to the webhook, or an event of the source."""
    return (factories.delivery if pages is webhook_pages else factories.inbound)(row_id)


def test_an_empty_list_explains_what_it_is_for_and_offers_one(owner: Owner, pages: ModuleType) -> None:
    page = owner.page(pages.PLACE)
    what, words = ("webhook", "the URL") if pages is webhook_pages else ("source", "A source sends")
    assert words in text(page)
    [offer] = by_class(page, "button")
    assert (text(offer), offer.attrib["href"]) == (f"Add a {what}", f"{pages.PLACE}new")


def test_one_is_disabled_and_enabled(owner: Owner, pages: ModuleType) -> None:
    row_id = pages.added(owner)
    put(pages, row_id)
    waits = "one delivery waits" if pages is webhook_pages else "One event waits"
    for _ in range(2):
        assert " is disabled." in text(owner.does(f"{pages.PLACE}{row_id}/disable"))
    assert pages.stored(row_id).disabled_at
    for _ in range(2):
        page = owner.does(f"{pages.PLACE}{row_id}/enable")
        assert " is enabled." in text(page)
        assert waits in text(page)
    assert pages.stored(row_id).disabled_at is None


def test_one_is_deleted_after_saying_what_goes_with_it(owner: Owner, pages: ModuleType) -> None:
    row_id, other = pages.added(owner, name="Robot <b>"), pages.added(owner, name="Other")
    kept, *_ = put(pages, other), *(put(pages, row_id) for _ in range(3))
    what = "deliveries" if pages is webhook_pages else "events"
    url = f"{pages.PLACE}{row_id}/delete"
    assert f"This also deletes its 3 {what}" in plain(owner.page(url))
    page = owner.does(url)
    assert f"“Robot <b>” was deleted with 3 {what}." in text(page)
    assert len(page.findall(".//tbody/tr")) == 1
    assert owner.post(url).status_code == 404
    rows = factories.deliveries() if pages is webhook_pages else factories.inbound_events()
    assert [row.id for row in rows] == [kept]


def test_a_secret_is_rotated_once_by_two_clicks_and_shown(owner: Owner, pages: ModuleType) -> None:
    row_id = pages.added(owner, name="Robot")
    old, url = pages.stored(row_id).secret, f"{pages.PLACE}{row_id}/rotate"
    sent = {"hours": "24", "replaces": value(owner.page(pages.PLACE + row_id), "replaces")}
    page = owner.does(url, sent)
    row = pages.stored(row_id)
    assert (row.previous_secret, part(page, "shown-secret")) == (old, row.secret)
    assert "The old one" in text(page)
    page = owner.does(url, sent)
    assert "The secret was rotated already, so nothing was changed." in text(page)
    assert row.secret not in text(page)
    assert pages.stored(row_id).secret == row.secret


def test_a_typed_secret_is_taken_and_a_wrong_one_comes_back(owner: Owner, pages: ModuleType) -> None:
    row_id, theirs = pages.added(owner, name="Robot", verify="standard"), signatures.new_secret()
    url, replaces = f"{pages.PLACE}{row_id}/rotate", value(owner.page(pages.PLACE + row_id), "replaces")
    for typed, hours, sentence in (
        ("not base64!", "24", "The secret "),
        (theirs, "25", "Choose how long"),
        (theirs, "", "Choose how long"),
    ):
        page = owner.refused(url, {"hours": hours, "secret": typed, "replaces": replaces})
        assert sentence in text(page)
        assert hours != "24" or value(page, "secret") == typed
    assert pages.stored(row_id).secret != theirs
    page = owner.does(url, {"hours": "0", "replaces": replaces, "secret": f" {theirs}\n"})
    assert "The secret is rotated." in text(page)
    assert theirs not in text(page)
    assert pages.stored(row_id).secret == theirs


# --- on every database


def test_every_database_takes_it(each_owner: Owner, pages: ModuleType) -> None:
    row_id = pages.added(each_owner, name="Größe 🎉", action="comment")
    put(pages, row_id)
    said = text(each_owner.page(pages.PLACE)).lower()
    assert "one delivery waits" in said or "one event waits" in said
    preview = each_owner.post(f"{pages.PLACE}{row_id}/preview", pages.form(each_owner, action="comment"))
    assert preview.status_code == 200
    assert parse(preview).find(".//*[@id='preview']") is not None
    assert "was deleted with 1 " in text(each_owner.does(f"{pages.PLACE}{row_id}/delete"))


def at_once(owner: Owner, url: str, sent: dict[str, Any]) -> list[str]:
    """Send a form twice at the same moment, and return where both answers lead."""
    browsers = [Owner(owner.app) for _ in range(2)]
    for browser in browsers:
        browser.log_in()
    forms = [{**sent, "csrf_token": browser.key()} for browser in browsers]
    with ThreadPoolExecutor(2) as pool:
        sending = [
            pool.submit(browser.open, "POST", url, data=form)
            for browser, form in zip(browsers, forms, strict=True)
        ]
    answers = [one.result() for one in sending]
    assert [answer.status_code for answer in answers] == [303, 303]
    return [answer.headers["Location"].partition("?")[0] for answer in answers]


def test_two_clicks_at_the_same_moment_are_one(each_owner: Owner, pages: ModuleType) -> None:
    first, second = at_once(each_owner, pages.PLACE, pages.form(each_owner))
    assert first == second
    row_id = first.rpartition("/")[2]
    old, replaces = pages.stored(row_id).secret, value(each_owner.page(first), "replaces")
    at_once(each_owner, first + "/rotate", {"hours": "24", "replaces": replaces})
    assert pages.stored(row_id).previous_secret == old


def test_a_secret_that_is_being_replaced_is_not_replaced_again(each_owner: Owner, pages: ModuleType) -> None:
    row_id = pages.added(each_owner)
    mark = value(each_owner.page(pages.PLACE + row_id), "replaces")
    sent = {"hours": "24", "replaces": mark, "csrf_token": each_owner.key()}
    new, table = f"whsec_{'A' * 32}", pages.PLACE.split("/")[2]
    with ThreadPoolExecutor(1) as pool, each_owner.app.app_context():
        with database.write(db.engine) as connection:
            connection.exec_driver_sql(f"UPDATE {table} SET secret = '{new}'")
            rotating = pool.submit(each_owner.open, "POST", f"{pages.PLACE}{row_id}/rotate", data=sent)
            time.sleep(0.3)  # so that it meets the row before the other change is there to be seen
        assert rotating.result().status_code == 303
    assert pages.stored(row_id).secret == new
