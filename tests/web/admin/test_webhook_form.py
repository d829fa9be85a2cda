"""The form of a webhook: it begins well, says all that is wrong, and loses nothing."""

from xml.etree.ElementTree import Element

import pytest

from guestbook.outbound.event_catalogue import EVENTS
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import attributes, by_class, parse, text
from tests.support.webhook_pages import PLACE, URL, added, form, part, stored, ticked, value


def test_the_form_begins_with_what_most_people_want(owner: Owner) -> None:
    page = owner.page(PLACE + "new")
    assert ticked(page) == ["comment.created"]
    assert [box.attrib["value"] for box in page.findall(".//input[@name='events']")] == list(EVENTS)
    assert "checked" not in attributes(page, ".//input[@name='disabled']")


def test_what_most_webhooks_do_not_need_is_folded_until_it_is_used(owner: Owner) -> None:
    preview = PLACE + "preview"
    assert not shows_more(owner.page(PLACE + "new"))
    assert not shows_more(parse(owner.post(preview, form(owner))))
    assert shows_more(parse(owner.post(PLACE, form(owner, url="", headers="no colon"))))
    for typed in ({"rate": "30/m"}, {"github_headers": "yes"}, {"sign_with": "key"}):
        assert shows_more(parse(owner.post(preview, form(owner, **typed)))), typed
    assert shows_more(owner.page(f"{PLACE}{added(owner)}/edit"))


def shows_more(page: Element) -> bool:
    return "open" in attributes(page, ".//textarea[@name='headers']/../..")


def test_a_webhook_is_added_as_typed(owner: Owner) -> None:
    headers = "Authorization: Bearer geheim\r\n\r\n X-Token : a:b\r\n"
    events = ["comment.deleted", "webhook.disabled"]
    page = owner.does(PLACE, form(owner, name="My  chat", events=events, headers=headers, rate="30/m"))
    assert "Rate limit30/m" in text(page).replace("\n", "").replace(" 30", "30")
    assert text(page.find(".//h1")) == "My chat"
    assert URL in text(page)
    assert "comment.deleted, webhook.disabled" in text(page)
    assert "Authorization: (hidden), X-Token: (hidden)" in text(page)
    assert "geheim" not in text(page)


def test_one_may_be_added_that_is_not_sent_to_yet(owner: Owner) -> None:
    page = owner.does(PLACE, form(owner, disabled="on"))
    assert text(by_class(page, "badge")[0]) == "disabled"
    assert "Disabled by hand just now. Nothing waits for it." in text(page)


@pytest.mark.parametrize(
    ("name", "typed", "reason"),
    [
        ("url", "", "The URL is missing."),
        ("url", 'https://u:p@receiver.example/"<b>', "The URL must not contain a user name or password"),
        ("headers", "no colon <b>", "The header 'no colon <b>' needs the form 'Name: value'."),
        ("format", "<b>", "There is no format '<b>'. Choose one of: json"),
        ("events", [], "Choose at least one event, or nothing will ever be sent."),
    ],
)
def test_what_is_wrong_comes_back(owner: Owner, name: str, typed: str | list[str], reason: str) -> None:
    sent = form(owner, name="Chat", headers="X-Token: a", events=["comment.deleted"], disabled="on")
    page = owner.refused(PLACE, sent | {name: typed})
    assert part(page, f"{name}-reason").startswith(reason)
    assert "aria-describedby" in attributes(page, f".//*[@id='{name}']")
    assert len(by_class(page, "reason")) == 1
    for field in {"url", "name", "headers", "key"}:
        assert value(page, field) == (sent | {name: typed})[field]
    assert ticked(page) == ([] if name == "events" else ["comment.deleted"])
    assert "checked" in attributes(page, ".//input[@name='disabled']")
    assert "A webhook is the URL" in text(owner.page(PLACE)), "nothing was added"


def test_invisible_characters_of_a_copied_url_or_header_are_left_out(owner: Owner) -> None:
    row = stored(added(owner, url=f" \ufeff{URL}\u200b ", headers="X-Token: a\u200bb\0"))
    assert (row.url, row.headers) == (URL, {"X-Token": "ab"})


def test_the_form_for_changes_loses_nothing_that_is_not_changed(owner: Owner) -> None:
    row_id = added(owner, name="Chat", headers="X-Token: a:b\nX-Two: ", events=list(EVENTS))
    before = stored(row_id)
    page = owner.page(f"{PLACE}{row_id}/edit")
    sent = {name: value(page, name) for name in ("url", "name", "headers")}
    after = owner.does(PLACE + row_id, {**sent, "events": ticked(page), "format": "json"})
    assert "The webhook is changed." in text(after)
    row = stored(row_id)
    assert (row.name, row.url, row.events, row.headers, row.secret, row.created_at) == (
        before.name, before.url, before.events, before.headers, before.secret, before.created_at,
    )  # fmt: skip
    assert row.headers == {"X-Token": "a:b", "X-Two": ""}


def test_a_webhook_is_changed_as_typed_or_not_at_all(owner: Owner) -> None:
    row_id = added(owner, name="Chat", headers="X-Token: a")
    changes = {"url": URL + "/2", "name": "Two", "format": "json", "events": ["ping"], "headers": ""}
    page = owner.refused(PLACE + row_id, changes | {"name": " "})
    assert part(page, "name-reason") == "The name must have 1 to 80 characters."
    assert (value(page, "url"), ticked(page)) == (URL + "/2", ["ping"])
    assert text(page.find(".//h1")) == "Edit Chat"
    assert stored(row_id).url == URL
    owner.does(PLACE + row_id, changes)
    row = stored(row_id)
    assert (row.url, row.name, row.events, row.headers) == (URL + "/2", "Two", "ping", {})


def test_the_form_shows_no_value_of_a_header_and_keeps_what_it_hides(owner: Owner) -> None:
    row_id = added(owner, headers="Authorization: Bearer geheim\nX-Old: 1")
    page = owner.page(f"{PLACE}{row_id}/edit")
    assert value(page, "headers") == "Authorization: (hidden)\nX-Old: (hidden)"
    owner.does(PLACE + row_id, form(owner, name="n", headers="authorization: (hidden)\nX-New: 2"))
    assert stored(row_id).headers == {"authorization": "Bearer geheim", "X-New": "2"}
    answer = owner.post(PLACE + row_id, form(owner, name="n", headers="X-Else: (hidden)"))
    assert answer.status_code == 422
    assert "stands for a value that is not shown" in answer.text


def test_headers_that_somebody_broke_by_hand_can_be_repaired(owner: Owner) -> None:
    row_id = factories.webhook()
    factories.sql("UPDATE webhooks SET headers = '[\"geheim\"'")
    assert "geheim" not in text(owner.page(PLACE + row_id))
    assert '(not JSON): ["geheim"' in value(owner.page(f"{PLACE}{row_id}/edit"), "headers")
