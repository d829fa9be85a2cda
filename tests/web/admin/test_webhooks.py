"""The webhooks in the admin pages: all that a person does with them, in a browser without scripts."""

from datetime import timedelta

import pytest
from flask import Flask

from guestbook.lib import clock
from guestbook.queries import statistics
from tests.support import factories, secret_keys
from tests.support.owner import Owner
from tests.support.receiver import Answer, Receiver
from tests.support.visitor import attributes, by_class, parse, plain, text
from tests.support.webhook_pages import PLACE, added, part, stored

UNKNOWN = "0" * 32
HOUR = timedelta(hours=1)


def test_the_list_tells_how_each_is_doing(owner: Owner) -> None:
    ago = clock.now() - timedelta(hours=3)
    factories.delivery(factories.webhook(name="Well"), status="processed", attempts=1, claims=1)
    failing = factories.webhook(name="Failing", failing_since=ago, failures_in_a_row=4)
    factories.delivery(failing, due_at=clock.now() + timedelta(seconds=310))
    factories.delivery(failing, status="failed")
    factories.delivery(failing, status="failed")
    factories.webhook(name="New")
    well, other, new = owner.page(PLACE).findall(".//tbody/tr")
    assert text(by_class(new, "badge")[0]) == "not tried yet"
    assert text(by_class(well, "badge")[0]) == "healthy"
    assert "Nothing is wrong, and nothing waits for it." in text(well)
    assert text(by_class(other, "badge")[0]) == "failing"
    assert (
        "Failing for 3 hours (4 failures in a row); next probe in 5 minutes. Its one delivery waits for it."
        in text(other)
    )
    numbers = {link.attrib["href"]: text(link) for link in other.findall("./td//a")}
    assert numbers == {
        f"/admin/deliveries/?status=new&webhook={failing}": "1",
        f"/admin/deliveries/?status=failed&webhook={failing}": "2",
    }


def test_an_unfinished_count_says_so(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNT_LIMIT", 2)
    row = factories.webhook()
    for _ in range(4):
        factories.delivery(row)
    assert "more than 2" in text(owner.page(PLACE).find(".//tbody"))


def test_what_the_owner_has_disabled_is_not_red_like_a_fault(owner: Owner) -> None:
    factories.webhook(disabled_at=clock.now(), disabled_reason="by_hand")
    factories.webhook(disabled_at=clock.now(), disabled_reason="failing")
    badges = by_class(owner.page(PLACE), "badge")
    assert [(badge.attrib["class"], text(badge)) for badge in badges] == [
        ("badge off", "disabled"),
        ("badge disabled", "disabled"),
    ]


def test_a_pause_can_be_ended(owner: Owner) -> None:
    row_id = factories.webhook(paused_until=clock.now() + timedelta(minutes=5), unreachable_in_a_row=5)
    page = owner.page(PLACE + row_id)
    assert "because the receiver could not be reached 5 times in a row; next probe then." in text(page)
    assert "Resume" in [text(button) for button in page.findall(".//button")]
    assert "Nothing was sent to it yet" in text(owner.does(f"{PLACE}{row_id}/enable"))
    assert stored(row_id).paused_until is None


def test_one_with_secrets_under_another_key_waits_for_it(app: Flask, owner: Owner) -> None:
    with app.app_context():
        secret_keys.use(secret_keys.NEW_KEY)
        row_id = factories.webhook()
        secret_keys.use(secret_keys.KEY)
    page = owner.page(PLACE + row_id)
    assert "cannot be decrypted" in part(page, "health")
    assert "Paused until" not in text(page)
    assert "Resume" not in [text(button) for button in page.findall(".//button")]


def test_its_latest_deliveries_are_there_newest_first(owner: Owner) -> None:
    row_id, other = factories.webhook(), factories.webhook()
    ids = [factories.delivery(row_id, status="failed", last_error="Why <b>") for _ in range(21)]
    factories.delivery(other)
    page = owner.page(PLACE + row_id)
    links = [link.attrib["href"] for link in page.findall(".//tbody//a")]
    assert links == [f"/admin/deliveries/{row}" for row in reversed(ids[1:])]
    assert "Why <b>" in text(page)
    assert page.find(f".//a[@href='/admin/deliveries/?webhook={row_id}']") is not None


def test_a_ping_is_sent_and_its_answer_is_shown(owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/hook", Answer(201, body=b"<script>thanks</script>\x01\xe2\x80\xae"))
    row_id = added(owner, url=receiver.url("/hook"), headers="X-Token: a")
    answer = owner.post(f"{PLACE}{row_id}/ping")
    assert answer.status_code == 303
    place = answer.headers["Location"].partition("#")[0]
    page = owner.page(place)
    live = page.find(".//*[@id='ping-result']")
    assert "data-live" in live.attrib
    assert "Cron has never run, so nothing is sent yet." in text(live)
    assert live.findall(".//a")[0].attrib["href"].partition("#")[0] == place
    factories.run_pass()
    [request] = receiver.at("/hook")
    assert (request.json["type"], request.headers["x-token"]) == ("ping", "a")
    page = owner.page(place)
    done = page.find(".//*[@id='ping-result']")
    assert "data-live" not in done.attrib
    assert "delivered The receiver answered 201 after " in part(page, "ping-result")
    assert " ms." in text(done)
    assert text(done.find(".//pre")) == "<script>thanks</script>"
    assert "Look again" not in text(done)


def test_what_the_page_says_beside_a_ping_does_not_grow_old(owner: Owner) -> None:
    row_id = factories.webhook()
    place = pinged(owner, row_id)
    page = owner.page(place)
    assert "data-live" in attributes(page, ".//*[@id='health']")
    assert page.find(".//table") is None, "the ping stands above, where a script looks after it"
    older = factories.delivery(row_id, status="processed")
    [link] = owner.page(place).findall(".//tbody//a")
    assert link.attrib["href"] == f"/admin/deliveries/{older}"
    assert len(owner.page(PLACE + row_id).findall(".//tbody/tr")) == 2
    assert "data-live" not in attributes(owner.page(PLACE + row_id), ".//*[@id='health']")


def test_a_failed_ping_says_why_and_when_it_is_retried(owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/hook", Answer(500, body=b"broken"), Answer(drop=True))
    place = pinged(owner, added(owner, url=receiver.url("/hook")))
    factories.run_pass()
    said = part(owner.page(place), "ping-result")
    assert said.startswith("retrying The receiver answered 500 after ")
    assert "The next attempt is due in " in said
    assert "broken" in said
    factories.all_due()
    factories.run_pass()
    said = part(owner.page(place), "ping-result")
    assert "There was no answer" in said
    assert "The receiver closed the connection without a complete answer." in said


def pinged(owner: Owner, row_id: str) -> str:
    return owner.post(f"{PLACE}{row_id}/ping").headers["Location"].partition("#")[0]


def test_a_waiting_ping_says_why(owner: Owner) -> None:
    for row_id, cron_ago, why in (
        (
            factories.webhook(paused_until=clock.now() + HOUR),
            9,
            "The webhook is paused: the ping waits until ",
        ),
        (factories.webhook(), 9, "It goes out with the next pass of cron, usually within a minute."),
        (factories.webhook(), 425, "Cron last ran 7 minutes ago. The ping goes out when it runs again."),
    ):
        factories.sql("DELETE FROM passes")
        factories.past_pass(timedelta(seconds=cron_ago))
        assert why in part(owner.page(pinged(owner, row_id)), "ping-result")


def test_the_ping_of_another_webhook_is_not_shown(owner: Owner) -> None:
    row_id, other = factories.webhook(), factories.webhook()
    ping = pinged(owner, other).partition("?")[2]
    for query in (ping, "ping=x", f"ping={UNKNOWN}", "ping=%00", "shown=%ff&ping=" + "f" * 5000):
        assert owner.page(f"{PLACE}{row_id}?{query}").find(".//*[@id='ping-result']") is None


HOSTILE = "</title><script>alert(1)</script>{{7*7}}\"'><img src=x onerror=alert(1)> مرحبا"


def test_hostile_names_urls_and_headers_are_inert_on_every_page(owner: Owner) -> None:
    foul = {"url": "javascript:alert('<b>')\u202e", "headers": {"<b>": HOSTILE, "\u202eX": "</textarea>"}}
    row_id = factories.webhook(name=HOSTILE[:80], events="<b>{{7*7}}", **foul)
    assert owner.post(f"{PLACE}{row_id}/disable").status_code == 303
    for url in (PLACE, *(PLACE + row_id + page for page in ("", "/edit", "/secret", "/delete"))):
        assert HOSTILE[:80] in owner.inert(url)


def test_its_page_shows_how_its_attempts_went_and_what_comes_next(owner: Owner) -> None:
    hook = factories.webhook()
    for code in (200, 200, 500):
        row_id = factories.delivery(hook, status="processed")
        error = None if code == 200 else "The receiver answered 500."
        factories.attempt(row_id, status_code=code, error=error, milliseconds=code)
    factories.delivery(hook, attempts=2, claims=2, due_at=clock.now() + timedelta(minutes=5))
    page = owner.page(PLACE + hook)
    said = text(page)
    facts = "Last 24 hours", "66 %", "200 ms", "500 ms", "The last 3 attempts", "attempt 3: in "
    assert [fact for fact in facts if fact not in said] == []
    [strip] = by_class(page, "strip")
    assert strip.attrib["aria-label"] == "2 of 3 succeeded"
    assert [one.attrib["class"] for one in strip.iter() if one.tag.endswith("rect")].count("failed") == 1


def test_a_webhook_that_was_never_tried_shows_no_empty_charts(owner: Owner) -> None:
    said = text(owner.page(PLACE + factories.webhook()))
    assert "Last 24 hours" not in said
    assert "Coming up" not in said


def test_the_page_of_a_webhook_to_fetch_from_says_so(owner: Owner) -> None:
    hook = factories.webhook("pull:")
    factories.sign()
    said = plain(owner.page(PLACE + hook))
    assert "Its receiver fetches the deliveries, and one delivery waits to be fetched." in said
    assert "attempt 1: waits until its receiver fetches it" in said
    assert f"guestbook listen https://book.example --webhook {hook}" in said
    for action, sentence in (("ping", "The ping waits"), ("example", "The example waits")):
        answer = owner.post(f"{PLACE}{hook}/{action}", {"event": "ping"})
        said = text(owner.page(answer.headers["Location"].partition("#")[0]))
        assert f"{sentence} until its receiver fetches it." in said
    assert "Its receiver fetches the deliveries that wait." in text(owner.does(f"{PLACE}{hook}/enable"))


def test_an_example_of_an_event_goes_through_the_queue(owner: Owner, receiver: Receiver) -> None:
    row_id = added(owner, url=receiver.url("/hook"))
    answer = owner.post(f"{PLACE}{row_id}/example", {"event": "comment.replied"})
    page = owner.page(answer.headers["Location"])
    assert "The example goes out with the next pass of cron." in text(page)
    factories.run_pass()
    [request] = receiver.requests
    assert request.json["type"] == "comment.replied"
    assert request.json["data"]["reply"]["message"] == 'Thank you, "Lace".'
    assert "Thank you" not in owner.client.get("/").text, "no comment is written"
    answer = owner.post(f"{PLACE}{row_id}/example", {"event": "comment.<b>"})
    assert answer.status_code == 422
    assert "There is no event &#39;comment.&lt;b&gt;&#39;." in answer.text
    described = attributes(parse(answer), ".//select[@id='event']")["aria-describedby"]
    assert described.split() == ["event-reason"]
