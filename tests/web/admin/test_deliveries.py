"""The pages of deliveries: the list with its filters, and one with its payload and attempts."""

import json
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from guestbook.lib import clock
from guestbook.storage.database import db
from guestbook.storage.models import Delivery
from guestbook.web.admin import queue
from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import Answer, Receiver
from tests.support.visitor import by_class, hrefs, parse, plain, text
from tests.web.admin.conftest import store

LIST = "/admin/deliveries/"
HOUR = timedelta(hours=1)
HOSTILE = '</pre><script>alert(1)</script> {{ 7*7 }} \u202eback \x1b[31m \x00 it\'s "x" 🎈\r\nsecond\rthird'


def listed(owner: Owner, query: str = "") -> list[str]:
    """The ids on a page of the list, from the top."""
    boxes = owner.page(LIST + query).findall(".//input[@name='id']")
    return [box.attrib["value"] for box in boxes]


# --- the list


def test_an_event_that_does_not_exist_is_no_filter(owner: Owner) -> None:
    answer = owner.get(f"{LIST}?event=%00")
    assert answer.status_code == 422
    assert r"There is no event '\x00'." in text(parse(answer))
    assert listed(owner, "?event=ping&text=_") == []
    assert "No deliveries yet" in text(owner.page(LIST))
    assert "No delivery matches" in text(owner.page(LIST + "?status=failed"))


def test_each_status_is_found_by_its_word_and_an_empty_list_says_what_is_there(
    owner: Owner, hook: str
) -> None:
    ids = {"waiting": store(hook), "retrying": store(hook, attempts=2, claims=2)}
    ids |= {"delivered": store(hook, status="processed")}
    for word, row_id in ids.items():
        assert listed(owner, f"?status={word}") == [row_id]
        [chosen] = owner.page(f"{LIST}?status={word}").findall(".//select[@id='status']/option[@selected]")
        assert (chosen.attrib["value"], text(chosen)) == (word, word)
    assert set(listed(owner, "?status=new")) == {ids["waiting"], ids["retrying"]}
    for query in (f"?status=given-up&webhook={hook}", f"?status=failed&webhook={hook}"):
        page = owner.page(LIST + query)
        assert "There are others: 1 waiting, 1 retrying, 1 delivered." in plain(page)
        links = page.find(".//p[@class='empty-list']").findall("a")
        assert [one.attrib["href"] for one in links] == [
            f"{LIST}?status={word}&webhook={hook}" for word in ids
        ]
    nothing = owner.page(f"{LIST}redeliver?failed=1&webhook={hook}")
    assert "There are others: 1 waiting, 1 retrying, 1 delivered." in plain(nothing)


def test_the_list_is_newest_first_and_tells_all(owner: Owner, hook: str) -> None:
    why = {"last_error": "The receiver answered 500.", "last_status_code": 500}
    old = store(hook, status="failed", attempts=10, claims=10, **why)
    new = store(hook, due_at=clock.now() + 5.5 * HOUR, event="ping")
    assert listed(owner) == [new, old]
    rows = [plain(row) for row in owner.page(LIST).findall(".//tbody/tr")]
    assert rows[0].endswith("ping – to Chat Chat waiting 0 none yet in 5 hours")
    assert rows[1].endswith("comment.created – to Chat Chat given up 10 500 –")


def test_a_row_says_whose_comment_it_is_about_and_why_there_was_no_answer(owner: Owner, hook: str) -> None:
    why = "The receiver did not answer in time."
    store(hook, comment_id=factories.sign("Hello", name="Grace"), last_error=why, attempts=1, claims=1)
    row = owner.page(LIST).find(".//tbody/tr[1]")
    assert "comment.created Grace to Chat" in plain(row)
    [answer] = by_class(row, "answer")
    assert (text(answer), answer.attrib["title"]) == ("time-out", why)


def test_the_filters_are_folded_away_and_open_where_one_is_wrong(owner: Owner) -> None:
    folds = {
        query: owner.page(LIST + query).find(".//details[@class='filter-fold']")
        for query in ("", "?status=new")
    }
    assert [plain(fold.find("summary")) for fold in folds.values()] == ["Filter", "Filter (1 in use)"]
    assert not any("open" in fold.attrib for fold in folds.values())
    wrong = parse(owner.get(f"{LIST}?status=gone"))
    assert "open" in wrong.find(".//details[@class='filter-fold']").attrib


def test_the_list_asks_no_more_questions_when_there_are_more(owner: Owner, app: Flask) -> None:
    hooks = [factories.webhook(name=f"hook {number}") for number in range(20)]
    store(hooks[0])
    owner.page(LIST)  # the first page of an app asks for what it keeps
    few = questions(owner, app)
    for hook in hooks:
        store(hook)
    assert questions(owner, app) == few


def questions(owner: Owner, app: Flask) -> int:
    """How many statements the list takes."""
    seen: list[Any] = []

    def note(*what: Any) -> None:
        seen.append(what)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    owner.page(LIST)
    event.remove(engine, "before_cursor_execute", note)
    return len(seen)


# --- one delivery


def test_a_delivery_tells_all_that_is_known(owner: Owner, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500, body=b"oops", headers={"Server": "theirs"}), Answer(202, body=b"taken"))
    factories.webhook(receiver.url(), name="Chat")
    comment = factories.sign("Hello 🎈")
    factories.run_pass()
    factories.all_due()
    factories.run_pass()
    [key] = [row.id for row in factories.deliveries()]
    event_id = factories.one().event_id
    page = owner.page(LIST + key)
    said = plain(page)
    for fact in (
        "Chat", event_id, "delivered", "Hello 🎈", "Triggered by the schedule", "oops", "taken",
        "Server theirs", "X-Guestbook-Attempt 2", "The receiver answered 500.", "Signatures are not stored",
    ):  # fmt: skip
        assert fact in said, fact
    assert said.index("Attempt 2") < said.index("Attempt 1")
    assert f"/admin/comments/{comment}" in hrefs(page)
    assert "v1," not in said.partition("As a command")[0]


def test_a_remark_about_a_success_is_no_error(owner: Owner, hook: str) -> None:
    note = "Delivered; the rest of the answer was left unread (too long)."
    page = owner.page(LIST + store(hook, {"status_code": 200, "error": note}, status="processed"))
    [attempt] = by_class(page, "attempt")
    assert [text(badge) for badge in by_class(attempt, "processed")] == ["200"]
    assert [text(name) for name in attempt.findall("dl[1]/dt")] == ["Triggered by", "Note"]


def test_a_status_is_a_plain_word(owner: Owner, hook: str) -> None:
    for values, word in (
        ({}, "waiting"),
        ({"attempts": 1, "claims": 1}, "retrying"),
        ({"status": "processed"}, "delivered"),
        ({"status": "failed"}, "given up"),
    ):
        key = store(hook, **values)
        for url in (LIST, LIST + key, f"/admin/webhooks/{hook}"):
            assert word in [text(badge) for badge in by_class(owner.page(url), "badge")]


def test_an_attempt_shows_its_time_in_words_and_exactly(owner: Owner, hook: str) -> None:
    exact = clock.to_text(started := clock.now() - 5 * HOUR)
    page = owner.page(LIST + store(hook, {"started_at": started}))
    [time] = page.findall(".//summary//time")
    assert (text(time), time.attrib["datetime"], time.attrib["title"]) == ("5 hours ago", exact, exact)


OUTLOOKS: list[tuple[dict[str, Any], dict[str, Any], str, bool]] = [
    ({}, {}, "due now, sent with the next pass", True),
    ({"due_at": 5.5 * HOUR}, {}, "in 5 hours", False),
    ({"due_at": HOUR / 120}, {}, "in ", True),
    ({"claimed_by": "a", "claims": 1, "due_at": HOUR}, {}, "a pass is sending it now", True),
    ({"claimed_by": "a", "claims": 1, "due_at": HOUR}, {"url": "pull:"}, "its receiver has fetched it", True),
    ({"claimed_by": "a", "claims": 1, "due_at": -HOUR}, {}, "due now", True),
    ({}, {"disabled_at": -HOUR, "disabled_reason": "gone"}, "waits, because the webhook is disabled", False),
    ({}, {"paused_until": 2.5 * HOUR}, "in 2 hours, because the webhook is paused until then", False),
    ({}, {"paused_until": HOUR / 120}, "because the webhook is paused", True),
    ({}, {"paused_until": -HOUR}, "due now", True),
    ({"due_at": 5.5 * HOUR}, {"paused_until": HOUR}, "in 5 hours", False),
    ({"status": "processed"}, {}, "", False),
]


def test_the_next_due_time_is_said_in_words(owner: Owner) -> None:
    for values, hook_values, words, live in OUTLOOKS:
        key = store(factories.webhook(**from_now(hook_values)), **from_now(values))
        [progress] = owner.page(LIST + key).findall(".//div[@id='progress']")
        said = plain(progress)
        assert ("Next due" in said) is (words != "")
        assert words in said
        assert ("data-live" in progress.attrib) is ("Refresh" in said) is live, words


def from_now(values: dict[str, Any]) -> dict[str, Any]:
    now = clock.now()
    return {name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}


def test_what_a_receiver_answers_is_inert(owner: Owner, hook: str) -> None:
    foul = HOSTILE.replace("\x00", "")  # which PostgreSQL stores nowhere
    headers = {"response_headers": {foul: foul}, "request_headers": {foul: foul}}
    attempt = {"response_body": foul, "error": foul, **headers}
    key = store(hook, attempt, payload=json.dumps({"x": foul}), last_error=foul)
    for url in (LIST + key, LIST, f"{LIST}{key}/explain"):
        said = owner.inert(url)
        assert "{{ 7*7 }}" in said
        assert not {"\u202e", "\x1b"} & {*said}
    assert r"\u{202e}back \u{1b}[31m" in text(owner.page(LIST + key))


def test_long_answers_and_those_without_a_word_are_shown(owner: Owner, hook: str) -> None:
    key = store(hook, {"response_body": "x" * 16384})
    assert "x" * 16384 in text(owner.page(LIST + key))
    key = store(hook, {"status_code": None, "response_body": None, "response_headers": None})
    assert "no answer" in text(owner.page(LIST + key))
    key = store(hook, {"status_code": 204, "response_body": "", "error": None})
    assert "The answer had no body." in text(owner.page(LIST + key))


def test_attempts_have_pages(owner: Owner, hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "ATTEMPTS_SHOWN", 2)
    key = store(hook, {}, attempts=5, claims=5)
    for number in range(2, 6):
        factories.attempt(key, number=number)
    numbers, url = [], LIST + key
    for _ in range(3):
        page = owner.page(url)
        numbers += [text(heading) for heading in page.findall(".//details[@class='attempt']//h3")]
        older = by_class(page, "older")
        url = older[0].attrib["href"] if older else ""
    assert numbers == [f"Attempt {number}" for number in (5, 4, 3, 2, 1)]
    assert not older
    for wrong in ("x", "-1", "1" * 20, "١", ""):
        assert owner.get(f"{LIST}{key}?before={wrong}").status_code == 404


# --- redelivery


def test_a_listener_fetches_what_is_redelivered_to_it(owner: Owner) -> None:
    hook = factories.webhook("pull:")
    key = store(hook, status="failed")
    leased = store(hook, claimed_by="a listener", claims=1, due_at=clock.now() + HOUR)
    said = text(owner.page(f"{LIST}redeliver?id={key}&id={leased}"))
    assert "A listener fetches them with the same id" in said
    assert "Its receiver fetches them. 1 more is skipped: its receiver has it now." in " ".join(said.split())
    said_then = text(owner.does(f"{LIST}redeliver", {"id": [key]}))
    assert "1 delivery is due now. A listener fetches it." in said_then
    assert "It is due now. Its receiver fetches it." in text(owner.does(f"{LIST}{key}/redeliver"))
    assert "Its receiver has fetched it, so nothing" in text(owner.does(f"{LIST}{leased}/redeliver"))
    assert "Their receiver has all of them now." in text(owner.page(f"{LIST}redeliver?id={leased}"))
    assert "pass" not in said


def test_an_e_mail_that_was_sent_goes_out_a_second_time_only_after_a_question(owner: Owner) -> None:
    key = store(factories.webhook("mailto:owner@example.org", format="email"), status="processed")
    asked = owner.post(f"{LIST}{key}/redeliver", {})
    place = f"{LIST}redeliver?id={key}"
    assert (asked.status_code, asked.headers["Location"]) == (303, place)
    assert factories.the(Delivery, key).status == "processed"
    said = " ".join(text(owner.page(place)).split())
    assert "Redeliver 1 delivery?" in said
    assert "1 e-mail was sent already, and goes out a second time." in said
    owner.does(f"{LIST}redeliver", {"id": [key]})
    assert factories.the(Delivery, key).status == "new"
    assert "It is due now." in text(owner.does(f"{LIST}{key}/redeliver"))
