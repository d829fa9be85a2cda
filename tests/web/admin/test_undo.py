"""Undo: each notice of a change offers it, it brings back exactly what was, and nothing that came after."""

from typing import Any

import pytest

from guestbook.lib import clock
from guestbook.storage.models import Source, Webhook
from guestbook.web.admin import undo
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import add, by_class, fields, set_, stored, text
from tests.web.admin.test_settings import kept

UNDO = "/admin/undo/"
LIST = "/admin/comments/"
GOOD = {"moderation": "suspicious", "theme": "auto", "per_page": "20", "rate": "20", "flood": "30"}


def offered(owner: Owner, url: str, data: dict[str, Any] | None = None) -> str:
    """Do something; return what the notice's button would send."""
    page = owner.does(url, data)
    [form] = [form for form in page.findall(".//form") if form.attrib["action"] == UNDO]
    assert form.attrib["method"] == "post"
    change = form.find(".//input[@name='change']")
    return change.attrib["value"]


def undone(owner: Owner, change: str) -> str:
    """Press the button; return what the next page says. It offers nothing to undo."""
    page = owner.does(UNDO, {"change": change})
    assert UNDO not in [form.attrib["action"] for form in page.findall(".//form")]
    return text(by_class(page, "notice")[0])


def statuses() -> list[str]:
    return [comment.status for comment in stored()]


def test_a_comment_gets_back_the_status_that_it_had(owner: Owner) -> None:
    for was, action in {"published": "spam", "held": "trash", "spam": "trash", "trash": "restore"}.items():
        [comment_id] = add(["Hello"], status=was, reason="It has many links.")
        change = offered(owner, f"{LIST}{comment_id}/{action}")
        assert statuses()[-1] != was
        assert undone(owner, change).startswith("Undone. The comment by Ada is ")
        comment = stored()[-1]
        assert (comment.status, comment.reason) == (was, "It has many links.")


def test_many_get_back_each_its_own_and_the_list_comes_again(owner: Owner) -> None:
    ids = [*add(["a", "b"]), *add(["c"], status="held"), *add(["d"], status="trash")]
    change = offered(owner, f"{LIST}bulk", {"id": ids, "action": "trash", "status": "all"})
    assert statuses() == ["trash"] * 4
    answer = owner.post(UNDO, {"change": change})
    assert answer.headers["Location"] == f"{LIST}?status=all"
    assert statuses() == ["published", "published", "held", "trash"]


def test_what_changed_again_since_is_left_alone(owner: Owner) -> None:
    ids = add(["a", "b"])
    change = offered(owner, f"{LIST}bulk", {"id": ids, "action": "spam"})
    owner.does(f"{LIST}{ids[0]}/trash")
    assert "1 comment changed since" in undone(owner, change)
    assert statuses() == ["trash", "published"]


def test_a_second_click_changes_nothing_more(owner: Owner) -> None:
    [comment_id] = add(["Hello"])
    change = offered(owner, f"{LIST}{comment_id}/spam")
    undone(owner, change)
    owner.does(f"{LIST}{comment_id}/spam")
    assert undone(owner, change) == undo.ALREADY_UNDONE
    assert statuses() == ["spam"]


def test_what_changed_nothing_or_cannot_come_back_offers_no_undo(owner: Owner) -> None:
    [comment_id] = add(["Hello"], status="spam")
    for url in (f"{LIST}{comment_id}/spam", f"{LIST}{comment_id}/delete"):
        page = owner.does(url)
        assert UNDO not in [form.attrib["action"] for form in page.findall(".//form")]


def test_a_disabled_webhook_is_as_it_was(owner: Owner) -> None:
    failing = {"failing_since": clock.now(), "failures_in_a_row": 7, "paused_until": clock.now()}
    hook = factories.webhook(name="Chat", **failing)
    before = stands(Webhook, hook)
    change = offered(owner, f"/admin/webhooks/{hook}/disable")
    assert stands(Webhook, hook) != before
    assert undone(owner, change) == "Undone. “Chat” is enabled again."
    assert stands(Webhook, hook) == before
    owner.does(f"/admin/webhooks/{hook}/disable")
    assert undone(owner, change) == undo.ALREADY_UNDONE
    assert stands(Webhook, hook) != before


def test_a_disabled_source_is_as_it_was(owner: Owner) -> None:
    source = factories.source(name="GitHub")
    before = stands(Source, source)
    change = offered(owner, f"/admin/sources/{source}/disable")
    owner.does(f"/admin/sources/{source}/enable")
    owner.does(f"/admin/sources/{source}/disable")
    for _ in range(2):  # nothing was undone, so the second click gets the same answer
        assert undone(owner, change) == undo.CHANGED_SINCE
    owner.does(f"/admin/sources/{source}/enable")
    undone(owner, offered(owner, f"/admin/sources/{source}/disable"))
    assert stands(Source, source) == before


def test_the_settings_are_as_they_were(owner: Owner) -> None:
    set_(title="Before", welcome="ü" * 1000, closed="yes", timezone="Europe/Berlin", visitor_times="no")
    before = kept()
    change = offered(owner, "/admin/book/", {**GOOD, "language": "en", "title": "After", "theme": "dark"})
    assert (kept().title, kept().timezone) == ("After", "UTC")
    assert undone(owner, change) == "Undone. The settings are as before."
    assert kept() == before


def test_settings_that_changed_since_stay_and_others_come_back(owner: Owner) -> None:
    english = {**GOOD, "language": "en", "title": "Before"}
    owner.does("/admin/book/", english)
    for more, told in (({}, undo.CHANGED_SINCE), ({"theme": "dark"}, undo.PARTLY_UNDONE)):
        change = offered(owner, "/admin/book/", {**english, "title": "After", **more})
        owner.does("/admin/book/", {**english, "title": "Later", **more})
        assert undone(owner, change) == told
        assert (kept().title, kept().theme) == ("Later", "auto")


def test_settings_that_need_what_is_gone_since_stay_as_they_are(owner: Owner) -> None:
    look: dict[str, Any] = {"look": "paper", "background": "none", "pictures": "glyphs", "glyphs": "🐚 🌊"}
    owner.does("/admin/look/", look)
    change = offered(owner, "/admin/look/", look | {"pictures": "drawn"})
    later_change = offered(owner, "/admin/look/", look | {"pictures": "drawn", "glyphs": ""})
    assert undone(owner, change) == undo.CHANGED_SINCE
    assert kept().pictures == "drawn"
    assert undone(owner, later_change) == "Undone. The settings are as before."
    assert kept().glyphs == "🐚 🌊"


def test_only_the_latest_changes_are_kept(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "UNDO_LIMIT", 2)
    ids = add(["a", "b", "c"])
    changes = [offered(owner, f"{LIST}{comment_id}/spam") for comment_id in ids]
    assert undone(owner, changes[0]) == undo.NO_LONGER_POSSIBLE
    undone(owner, changes[1])
    assert statuses() == ["spam", "published", "spam"]


def test_a_change_that_there_never_was_is_refused(owner: Owner) -> None:
    assert owner.post(UNDO, {"change": "x"}).status_code == 404
    assert owner.get(UNDO).status_code == 405
    assert undone(owner, "0" * 32) == undo.NO_LONGER_POSSIBLE


@pytest.mark.parametrize("then", ["ping", "enable"])
def test_the_secret_is_still_there_after_the_next_step(owner: Owner, then: str) -> None:
    more = {"disabled": "on"} if then == "enable" else {}
    form = fields(owner.page("/admin/webhooks/new"))
    answer = owner.post("/admin/webhooks/", {**form, "url": "https://chat.example/", **more})
    page = owner.page(answer.headers["Location"])
    [secret] = [one.text for one in page.iter("code") if one.attrib.get("id") == "shown-secret"]
    actions = [form.attrib["action"] for form in page.findall(".//form")]
    [action] = [one for one in actions if f"/{then}" in one]
    page = owner.does(action)
    assert [one.text for one in page.iter("code") if one.attrib.get("id") == "shown-secret"] == [secret]
    page = owner.does(action.partition("?")[0])
    assert [one for one in page.iter("code") if one.attrib.get("id") == "shown-secret"] == []


def stands(model: type[Webhook] | type[Source], row_id: str) -> dict[str, Any]:
    row = factories.the(model, row_id)
    return {column.key: getattr(row, column.key) for column in model.__table__.columns}
