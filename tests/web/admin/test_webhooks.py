"""The webhooks at the desk: all that a person does with them, in a browser without scripts."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook import browse, clock, database
from guestbook.database import db
from guestbook.models import Pass, Webhook
from guestbook.models.webhook import EVENTS
from tests import stock
from tests.receiver import Answer, Receiver
from tests.web.admin.owner import Owner
from tests.web.visitor import by_class, parse, text

PLACE = "/admin/webhooks/"
URL = "https://receiver.example/hook"
UNKNOWN = "0" * 32


def form(owner: Owner, **typed: Any) -> dict[str, Any]:
    """What the form for another one sends when only the URL was typed, and what else is given."""
    page = owner.page(PLACE + "new")
    key = page.find(".//input[@name='key']")
    assert key is not None
    sent = {"key": key.attrib["value"], "url": URL, "name": "", "format": "json", "events": ticked(page)}
    return {**sent, "headers": "", **typed}


def added(owner: Owner, **typed: Any) -> str:
    answer = owner.post(PLACE, form(owner, **typed))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"].partition("?")[0].rpartition("/")[2])


def ticked(page: Element) -> list[str]:
    boxes = page.findall(".//input[@name='events']")
    return [box.attrib["value"] for box in boxes if "checked" in box.attrib]


def value(page: Element, name: str) -> str:
    """What stands in a field of that name."""
    area = page.find(f".//textarea[@name='{name}']")
    if area is not None:
        return area.text or ""
    return page.find(f".//input[@name='{name}']").attrib["value"]  # type: ignore[union-attr]  # it is there


def part(page: Element, name: str) -> str:
    """The text of the element with that id."""
    return " ".join(text(page.find(f".//*[@id='{name}']")).split())


def stored(owner: Owner, webhook_id: str) -> Webhook:
    with owner.app.app_context():
        found: Webhook = stock.the(Webhook, webhook_id)
        return found


def store(app: Flask, **values: Any) -> str:
    with app.app_context():
        return stock.webhook(**values)


def came(app: Flask, seconds_ago: float) -> None:
    """Let a pass of cron have ended so long ago."""
    moment = clock.now() - timedelta(seconds=seconds_ago)
    numbers = {"processed": 0, "retried": 0, "failed": 0}
    with app.app_context(), database.writing() as session:
        session.add(Pass(id=UNKNOWN, started_at=moment, finished_at=moment, host="here", **numbers))


def at_once(owner: Owner, url: str, sent: dict[str, Any]) -> list[str]:
    """Send a form twice at the same moment, and return where both answers lead."""
    browsers = [Owner(owner.app) for _ in range(2)]
    for browser in browsers:
        browser.log_in()
    keys = [browser.key() for browser in browsers]
    with ThreadPoolExecutor(2) as pool:
        send = [
            partial(one.open, "POST", url, data={**sent, "csrf_token": key})
            for one, key in zip(browsers, keys, strict=True)
        ]
        answers = list(pool.map(lambda ask: ask(), send))
    assert [answer.status_code for answer in answers] == [303, 303]
    return [answer.headers["Location"].partition("?")[0] for answer in answers]


def run_pass(app: Flask) -> None:
    with app.app_context():
        stock.run_pass()


def test_an_empty_list_explains_what_a_webhook_is_and_offers_one(owner: Owner) -> None:
    page = owner.page(PLACE)
    assert "A webhook is an address" in text(page)
    [offer] = by_class(page, "button")
    assert (text(offer), offer.attrib["href"]) == ("Add a webhook", PLACE + "new")


def test_the_form_begins_with_what_most_people_want(owner: Owner) -> None:
    page = owner.page(PLACE + "new")
    assert ticked(page) == ["comment.created"]
    assert [box.attrib["value"] for box in page.findall(".//input[@name='events']")] == list(EVENTS)
    assert "checked" not in page.find(".//input[@name='disabled']").attrib  # type: ignore[union-attr]


def test_a_webhook_is_added_as_typed(owner: Owner) -> None:
    headers = "Authorization: Bearer geheim\r\n\r\n X-Token : a:b\r\n"
    events = ["comment.deleted", "webhook.disabled"]
    page = owner.does(PLACE, form(owner, name="My  chat", events=events, headers=headers))
    assert text(page.find(".//h1")) == "My chat"
    assert URL in text(page)
    assert "comment.deleted, webhook.disabled" in text(page)
    assert "Authorization: (hidden), X-Token: (hidden)" in text(page)
    assert "geheim" not in text(page)


def test_a_url_alone_is_enough(owner: Owner) -> None:
    row = stored(owner, added(owner))
    assert (row.url, row.name, row.format, row.events, row.headers, row.disabled_at) == (
        URL, "receiver.example", "json", "comment.created", {}, None,
    )  # fmt: skip


def test_one_may_be_added_that_is_not_sent_to_yet(owner: Owner) -> None:
    page = owner.does(PLACE, form(owner, disabled="on"))
    assert text(by_class(page, "badge")[0]) == "disabled"
    assert "Disabled by hand just now. Nothing waits for it." in text(page)


@pytest.mark.parametrize(
    ("name", "typed", "reason"),
    [
        ("url", "", "The URL is missing."),
        ("url", "javascript:alert(1)", "The URL must start with https:// or http://."),
        ("url", 'https://u:p@receiver.example/"<b>', "The URL must not contain a user name or password"),
        ("name", "x" * 81, "The name must have 1 to 80 characters."),
        ("headers", "no colon <b>", "The header 'no colon <b>' needs the form 'Name: value'."),
        ("headers", "Host: x", "The header Host is set by the guestbook itself."),
        ("headers", "X-A: 1\nx-a: 2", "A header is named twice."),
        ("format", "<b>", "There is no format '<b>'. The formats are json"),
        ("events", [], "Choose at least one event, or nothing will ever be sent."),
        ("events", ["<b>"], "There is no event '<b>'."),
    ],
)
def test_what_is_wrong_comes_back_with_its_reason_and_all_that_was_typed(
    owner: Owner, name: str, typed: str | list[str], reason: str
) -> None:
    sent = form(owner, name="Chat", headers="X-Token: a", events=["comment.deleted"], disabled="on")
    answer = owner.post(PLACE, sent | {name: typed})
    assert answer.status_code == 422
    page = parse(answer)
    assert part(page, f"{name}-reason").startswith(reason)
    assert "aria-describedby" in page.find(f".//*[@id='{name}']").attrib  # type: ignore[union-attr]
    assert len(by_class(page, "reason")) == 1
    for field in {"url", "name", "headers", "key"}:
        assert value(page, field) == (sent | {name: typed})[field]
    assert ticked(page) == ([] if name == "events" else ["comment.deleted"])
    assert "checked" in page.find(".//input[@name='disabled']").attrib  # type: ignore[union-attr]
    assert "A webhook is an address" in text(owner.page(PLACE)), "nothing was added"


def test_all_that_is_wrong_is_said_at_once(owner: Owner) -> None:
    page = parse(owner.post(PLACE, form(owner, url="", events=[], headers="?")))
    links = [link.attrib["href"] for link in by_class(page, "summary")[0].findall(".//a")]
    assert links == ["#url", "#events", "#headers"]


def test_the_second_click_of_two_adds_nothing(owner: Owner) -> None:
    sent = form(owner)
    first, second = owner.post(PLACE, sent), owner.post(PLACE, sent)
    assert first.headers["Location"].partition("?")[0] == second.headers["Location"].partition("?")[0]
    assert "This form was sent before" in text(owner.page(second.headers["Location"]))
    assert len(owner.page(PLACE).findall(".//tbody/tr")) == 1


@pytest.mark.parametrize("key", ["", "x", "../../etc", "F" * 32])
def test_a_form_without_its_key_adds_one_all_the_same(owner: Owner, key: str) -> None:
    assert stored(owner, added(owner, key=key)).url == URL


def test_a_url_or_a_header_that_was_copied_with_invisible_characters_is_the_one_that_is_seen(
    owner: Owner,
) -> None:
    row = stored(owner, added(owner, url=f" \ufeff{URL}\u200b ", headers="X-Token: a\u200bb\0"))
    assert (row.url, row.headers) == (URL, {"X-Token": "ab"})


def test_the_list_tells_how_each_is_doing(app: Flask, owner: Owner) -> None:
    ago = clock.now() - timedelta(hours=3)
    store(app, name="Well")
    failing = store(app, name="Failing", failing_since=ago, failures_in_a_row=4)
    with app.app_context():
        stock.delivery(failing, due_at=clock.now() + timedelta(seconds=310))
        stock.delivery(failing, status="failed")
        stock.delivery(failing, status="failed")
    well, other = owner.page(PLACE).findall(".//tbody/tr")
    assert "Well" in text(well)
    assert "Nothing is wrong, and nothing waits for it." in text(well)
    assert text(by_class(other, "badge")[0]) == "failing"
    assert "No success since 3 hours ago (4 failures in a row); next probe in 5 minutes." in text(other)
    numbers = {link.attrib["href"]: text(link) for link in other.findall("./td//a")}
    assert numbers == {
        f"/admin/deliveries/?status=new&webhook={failing}": "1",
        f"/admin/deliveries/?status=failed&webhook={failing}": "2",
    }


def test_a_number_that_was_not_counted_to_its_end_says_so(
    app: Flask, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "COUNT", 2)
    row = store(app)
    with app.app_context():
        for _ in range(4):
            stock.delivery(row)
    assert "more than 2" in text(owner.page(PLACE).find(".//tbody"))


def test_the_form_for_changes_loses_nothing_that_is_not_changed(owner: Owner) -> None:
    row_id = added(owner, name="Chat", headers="X-Token: a:b\nX-Two: ", events=list(EVENTS))
    before = stored(owner, row_id)
    page = owner.page(f"{PLACE}{row_id}/edit")
    sent = {name: value(page, name) for name in ("url", "name", "headers")}
    after = owner.does(PLACE + row_id, {**sent, "events": ticked(page), "format": "json"})
    assert "The webhook is changed." in text(after)
    row = stored(owner, row_id)
    assert (row.name, row.url, row.events, row.headers, row.secret, row.created_at) == (
        before.name, before.url, before.events, before.headers, before.secret, before.created_at,
    )  # fmt: skip
    assert row.headers == {"X-Token": "a:b", "X-Two": ""}


def test_a_webhook_is_changed_as_typed_or_not_at_all(owner: Owner) -> None:
    row_id = added(owner, name="Chat", headers="X-Token: a")
    changes = {"url": URL + "/2", "name": "Two", "format": "json", "events": ["ping"], "headers": ""}
    answer = owner.post(PLACE + row_id, changes | {"name": " "})
    assert answer.status_code == 422
    page = parse(answer)
    assert part(page, "name-reason") == "The name must have 1 to 80 characters."
    assert (value(page, "url"), ticked(page)) == (URL + "/2", ["ping"])
    assert text(page.find(".//h1")) == "Edit Chat"
    assert stored(owner, row_id).url == URL
    owner.does(PLACE + row_id, changes)
    row = stored(owner, row_id)
    assert (row.url, row.name, row.events, row.headers) == (URL + "/2", "Two", "ping", {})


def test_a_webhook_is_disabled_and_enabled(app: Flask, owner: Owner) -> None:
    row_id = added(owner)
    with app.app_context():
        stock.delivery(row_id)
    page = owner.does(f"{PLACE}{row_id}/disable")
    assert "Disabled by hand just now. Its one delivery waits until it is enabled." in text(page)
    owner.does(f"{PLACE}{row_id}/disable")
    assert stored(owner, row_id).disabled_reason == "by_hand"
    for _ in range(2):
        page = owner.does(f"{PLACE}{row_id}/enable")
        assert "Nothing is wrong, and one delivery waits to be sent." in text(page)
    assert stored(owner, row_id).disabled_at is None


def test_a_pause_can_be_ended(app: Flask, owner: Owner) -> None:
    row_id = store(app, paused_until=clock.now() + timedelta(minutes=5, seconds=9), unreachable_in_a_row=5)
    page = owner.page(PLACE + row_id)
    assert "because the receiver could not be reached 5 times in a row; next probe then." in text(page)
    assert "End the pause" in [text(button) for button in page.findall(".//button")]
    assert "Nothing is wrong" in text(owner.does(f"{PLACE}{row_id}/enable"))
    assert stored(owner, row_id).paused_until is None


def test_its_latest_deliveries_are_there_newest_first(app: Flask, owner: Owner) -> None:
    row_id, other = store(app), store(app)
    with app.app_context():
        ids = [stock.delivery(row_id, status="failed", last_error="Why <b>") for _ in range(21)]
        stock.delivery(other)
    page = owner.page(PLACE + row_id)
    links = [link.attrib["href"] for link in page.findall(".//tbody//a")]
    assert links == [f"/admin/deliveries/{row}" for row in reversed(ids[1:])]
    assert "Why <b>" in text(page)
    assert page.find(f".//a[@href='/admin/deliveries/?webhook={row_id}']") is not None


def test_a_ping_goes_through_queue_and_sender_and_its_answer_is_shown(
    app: Flask, owner: Owner, receiver: Receiver
) -> None:
    receiver.answer("/hook", Answer(201, body=b"<script>thanks</script>\x01\xe2\x80\xae"))
    row_id = added(owner, url=receiver.url("/hook"), headers="X-Token: a")
    answer = owner.post(f"{PLACE}{row_id}/ping")
    assert answer.status_code == 303
    place = answer.headers["Location"].partition("#")[0]
    page = owner.page(place)
    live = page.find(".//*[@id='ping-result']")
    assert live is not None
    assert "data-live" in live.attrib
    assert "Cron has never come, so nothing is sent yet." in text(live)
    assert live.findall(".//a")[0].attrib["href"].partition("#")[0] == place
    run_pass(app)
    [request] = receiver.at("/hook")
    assert (request.json["type"], request.headers["x-token"]) == ("ping", "a")
    page = owner.page(place)
    done = page.find(".//*[@id='ping-result']")
    assert done is not None
    assert "data-live" not in done.attrib
    assert "processed The receiver answered 201 after " in part(page, "ping-result")
    assert " ms." in text(done)
    assert text(done.find(".//pre")) == "<script>thanks</script>"
    assert "Look again" not in text(done)


def test_what_the_page_says_beside_a_ping_does_not_grow_old(app: Flask, owner: Owner) -> None:
    row_id = store(app)
    place = pinged(owner, row_id)
    page = owner.page(place)
    assert "data-live" in page.find(".//*[@id='health']").attrib  # type: ignore[union-attr]
    assert page.find(".//table") is None, "the ping stands above, where a script looks after it"
    with app.app_context():
        older = stock.delivery(row_id, status="processed")
    [link] = owner.page(place).findall(".//tbody//a")
    assert link.attrib["href"] == f"/admin/deliveries/{older}"
    assert len(owner.page(PLACE + row_id).findall(".//tbody/tr")) == 2
    assert "data-live" not in owner.page(PLACE + row_id).find(".//*[@id='health']").attrib  # type: ignore[union-attr]


def test_a_ping_that_failed_says_why_and_when_it_is_tried_again(
    app: Flask, owner: Owner, receiver: Receiver
) -> None:
    receiver.answer("/hook", Answer(500, body=b"broken"), Answer(drop=True))
    place = pinged(owner, added(owner, url=receiver.url("/hook")))
    run_pass(app)
    said = part(owner.page(place), "ping-result")
    assert said.startswith("new The receiver answered 500 after ")
    assert "The next attempt is due in " in said
    assert "broken" in said
    with app.app_context():
        stock.all_due()
    run_pass(app)
    said = part(owner.page(place), "ping-result")
    assert "There was no answer" in said
    assert "The receiver closed the connection without a complete answer." in said


def pinged(owner: Owner, row_id: str) -> str:
    return owner.post(f"{PLACE}{row_id}/ping").headers["Location"].partition("#")[0]


@pytest.mark.parametrize(
    ("values", "cron_ago", "why"),
    [
        ({"disabled_reason": "by_hand", "disabled_at": 0}, 9, "The webhook is disabled: the ping waits"),
        ({"paused_until": 305}, 9, "The webhook is paused: the ping waits until "),
        ({}, 9, "It goes out with the next pass of cron, usually within a minute."),
        ({}, 425, "Cron last came 7 minutes ago. The ping goes out when it comes again."),
    ],
)
def test_a_ping_that_has_to_wait_says_why(
    app: Flask, owner: Owner, values: dict[str, Any], cron_ago: float, why: str
) -> None:
    now = clock.now()
    moments = {key: now + timedelta(seconds=value) for key, value in values.items() if value != "by_hand"}
    row_id = store(app, **values | moments)
    came(app, cron_ago)
    assert why in part(owner.page(pinged(owner, row_id)), "ping-result")


def test_the_ping_of_another_webhook_is_not_shown(app: Flask, owner: Owner) -> None:
    row_id, other = store(app), store(app)
    ping = pinged(owner, other).partition("?")[2]
    for query in (ping, "ping=x", f"ping={UNKNOWN}", "ping=%00", "shown=%ff&ping=" + "f" * 5000):
        assert owner.page(f"{PLACE}{row_id}?{query}").find(".//*[@id='ping-result']") is None


def test_a_webhook_is_deleted_after_saying_what_goes_with_it(app: Flask, owner: Owner) -> None:
    row_id, other = store(app, name="Chat <b>"), store(app)
    with app.app_context():
        kept = stock.delivery(other)
        for _ in range(3):
            stock.delivery(row_id, status="processed")
    assert "3 deliveries go with it" in text(owner.page(f"{PLACE}{row_id}/delete"))
    page = owner.does(f"{PLACE}{row_id}/delete")
    assert "“Chat <b>” is deleted, and 3 deliveries with it." in text(page)
    assert len(page.findall(".//tbody/tr")) == 1
    assert owner.post(f"{PLACE}{row_id}/delete").status_code == 404
    with app.app_context():
        assert [delivery.id for delivery in stock.deliveries()] == [kept]


@pytest.mark.parametrize("row_id", [UNKNOWN, "x", "F" * 32, "0" * 31, "%00", "0" * 32 + "%0A"])
def test_what_is_not_there_is_not_found(owner: Owner, row_id: str) -> None:
    for page in ("", "/edit", "/secret", "/delete"):
        assert owner.get(PLACE + row_id + page).status_code == 404
    key = {"csrf_token": owner.key(), "password": "x", "hours": "24", "url": URL}
    for action in ("", "/enable", "/disable", "/ping", "/rotate", "/secret", "/delete"):
        assert owner.open("POST", PLACE + row_id + action, data=key).status_code == 404


HOSTILE = "</title><script>alert(1)</script>{{7*7}}\"'><img src=x onerror=alert(1)> مرحبا"


def test_hostile_names_urls_and_headers_are_inert_on_every_page(app: Flask, owner: Owner) -> None:
    row_id = store(
        app,
        name=HOSTILE[:80],
        url="javascript:alert('<b>')\u202e",
        events="<b>{{7*7}}",
        headers={"<b>": HOSTILE, "\u202eX": "</textarea>"},
    )
    assert owner.post(f"{PLACE}{row_id}/disable").status_code == 303
    for url in (PLACE, *(PLACE + row_id + page for page in ("", "/edit", "/secret", "/delete"))):
        page = owner.page(url)
        [script] = page.iter("script")
        assert script.attrib["src"].startswith("/static/desk.js?")
        assert page.find(".//img[@src='x']") is None
        assert page.find(".//main//b") is None
        assert not [link for link in page.iter("a") if link.attrib["href"].startswith("javascript")]
        assert HOSTILE[:80] in text(page)
        assert "49" not in text(page.find(".//main"))


def test_headers_that_somebody_broke_by_hand_can_be_mended(app: Flask, owner: Owner) -> None:
    row_id = store(app)
    with app.app_context(), database.write(db.engine) as connection:
        connection.exec_driver_sql("UPDATE webhooks SET headers = '[\"geheim\"'")
    assert "geheim" not in text(owner.page(PLACE + row_id))
    assert '(not JSON): ["geheim"' in value(owner.page(f"{PLACE}{row_id}/edit"), "headers")


def test_every_database_takes_it(each_app: Flask) -> None:
    owner = Owner(each_app)
    owner.log_in()
    row_id = added(owner, name="Größe 🎉")
    pinged(owner, row_id)
    assert "one delivery waits" in text(owner.page(PLACE))
    assert "and 1 delivery with it" in text(owner.does(f"{PLACE}{row_id}/delete"))


def test_two_clicks_at_the_same_moment_are_one_on_every_database(each_app: Flask) -> None:
    owner = Owner(each_app)
    owner.log_in()
    first, second = at_once(owner, PLACE, form(owner))
    assert first == second
    row_id = first.rpartition("/")[2]
    old = stored(owner, row_id).secret
    at_once(owner, first + "/rotate", {"hours": "24", "replaces": value(owner.page(first), "replaces")})
    assert stored(owner, row_id).previous_secret == old
