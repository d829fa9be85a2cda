"""The pages of deliveries: the list with its filters, and one with its payload and attempts."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from guestbook.lib import clock
from guestbook.storage.database import db
from guestbook.web.admin import deliveries
from tests.support import factories
from tests.support.owner import Owner
from tests.support.receiver import Answer, Receiver
from tests.support.visitor import by_class, parse, text
from tests.web.admin.conftest import Store

LIST = "/admin/deliveries/"
HOUR = timedelta(hours=1)
HOSTILE = '</pre><script>alert(1)</script> {{ 7*7 }} \u202eback \x1b[31m \x00 it\'s "x" 🎈\r\nsecond\rthird'


def listed(owner: Owner, query: str = "") -> list[str]:
    """The ids on a page of the list, from the top."""
    boxes = owner.page(LIST + query).findall(".//input[@name='id']")
    return [box.attrib["value"] for box in boxes]


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M}"


# --- the list


def test_an_empty_book_says_when_deliveries_appear(owner: Owner) -> None:
    assert "No deliveries yet" in text(owner.page(LIST))
    assert "No delivery matches" in text(owner.page(LIST + "?status=failed"))


def test_the_list_is_newest_first_and_tells_all(owner: Owner, hook: str, store: Store) -> None:
    old = store(hook, status="failed", last_error="The receiver answered 500.", attempts=10, claims=10)
    new = store(hook, due_at=clock.now() + 5.5 * HOUR, event="ping")
    assert listed(owner) == [new, old]
    rows = [" ".join(text(row).split()) for row in owner.page(LIST).findall(".//tbody/tr")]
    assert rows[0].endswith("ping Chat Chat waiting 0 none yet in 5 hours")
    assert rows[1].endswith("comment.created Chat Chat given up 10 The receiver answered 500. –")


@pytest.mark.parametrize("query", ["?status=odd", "redeliver?failed=1&since=never", "redeliver"])
def test_a_wrong_filter_does_not_say_that_nothing_was_changed(owner: Owner, query: str) -> None:
    answer = owner.get(LIST + query)
    assert answer.status_code == 422
    assert "Nothing was" not in answer.text
    assert "Nothing was changed." in owner.post("/admin/book/", {"title": ""}).text


def test_each_filter_narrows_the_list_and_two_do_so_together(owner: Owner, app: Flask, store: Store) -> None:
    with app.app_context():
        one, two = factories.webhook(name="One"), factories.webhook(name="Two")
    now = clock.now()
    a = store(one, status="failed", created_at=now - 5 * HOUR, last_error="The name could not be found.")
    b = store(one, created_at=now - 3 * HOUR, event="ping", payload='{"name":"Zoë 100%"}')
    c = store(two, status="failed", created_at=now - HOUR)
    d = store(two, status="processed")
    assert listed(owner, "?status=failed") == [c, a]
    assert listed(owner, f"?webhook={one}") == [b, a]
    assert listed(owner, "?event=ping") == [b]
    assert listed(owner, f"?since={moment(now - 4 * HOUR)}") == [d, c, b]
    assert listed(owner, f"?until={moment(now - 2 * HOUR)}") == [b, a]
    assert listed(owner, "?since=2h") == [d, c]
    assert listed(owner, "?text=Zoë 100%25") == [b]
    assert listed(owner, "?text=NAME could") == [a]
    assert listed(owner, "?text=_") == []
    assert listed(owner, f"?status=failed&webhook={two}&since=2h") == [c]
    assert listed(owner, f"?status=processed&webhook={two}") == [d]
    assert listed(owner, "?status=&webhook=&event=&since=&until=&text=") == [d, c, b, a]


def test_the_form_keeps_what_it_was_sent_with(owner: Owner, hook: str) -> None:
    page = owner.page(LIST + f"?status=new&webhook={hook}&event=ping&since=2026-01-31T18:30&text=%22%3E")
    chosen = [option.attrib["value"] for option in page.findall(".//form[1]//option[@selected]")]
    assert chosen[:3] == ["new", hook, "ping"]
    values = {one.attrib["id"]: one.attrib.get("value") for one in page.findall(".//input[@id]")}
    assert values["since"] == values["failed-since"] == "2026-01-31T18:30"
    assert values["text"] == '">'


def test_pages_follow_each_other_without_a_gap_or_a_repeat(owner: Owner, hook: str, store: Store) -> None:
    keys = [store(hook, status="failed") for _ in range(120)]
    store(hook, status="processed")
    seen, url = [], LIST + "?status=failed"
    for _ in range(3):
        page = owner.page(url)
        seen += [box.attrib["value"] for box in page.findall(".//input[@name='id']")]
        older = by_class(page, "older")
        url = older[0].attrib["href"] if older else ""
        assert "status=failed" in url or not older
    assert seen == keys[::-1]
    assert not older
    newest = page.findall(".//nav[@class='pagination']/a")
    assert [link.attrib["href"] for link in newest] == [LIST + "?status=failed"]


def test_a_rare_word_is_looked_for_further_back_by_a_link(
    owner: Owner, hook: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guestbook.queries.filtered_lists.SCANNED_ROWS", 10)
    rare = store(hook, payload='{"word":"rare"}')
    for _ in range(25):
        store(hook)
    url = LIST + "?text=rare"
    for _ in range(2):
        page = owner.page(url)
        assert "Searched back to " in text(page)
        [further] = by_class(page, "older")
        assert text(further).startswith("Search further back")
        url = further.attrib["href"]
    assert [box.attrib["value"] for box in owner.page(url).findall(".//input[@name='id']")] == [rare]


WRONG = {
    "status=sent": "There is no status 'sent'.",
    "event=%00": r"There is no event '\x00'.",
    "webhook=1": "This webhook no longer exists.",
    "webhook=" + "0" * 32: "This webhook no longer exists.",
    "since=yesterday": "'yesterday' is no time such as",
    "until=0001-01-01T00:00%2B14:00": "is no time such as",
    "since=" + "9" * 10_000 + "d": "is no time such as",
    "since=%ED%A0%80": "is no time such as",
    "until=%D9%A1d": "is no time such as",
}


def test_a_filter_that_is_none_gets_a_sentence(owner: Owner) -> None:
    for query, sentence in WRONG.items():
        answer = owner.get(f"{LIST}?{query}")
        assert answer.status_code == 422
        assert sentence in text(parse(answer))


def test_odd_filters_are_taken(owner: Owner, hook: str, store: Store) -> None:
    for _ in range(51):
        store(hook)
    for query in ("text=%00", "text=" + "x" * 5000, "text=%F0%9F%8E%88", "text=%ED%A0%80", "since=0001-01-01",
                  "until=9999-12-31T23:59", "endpoint=x&_external=1&nonsense=1"):  # fmt: skip
        owner.page(f"{LIST}?{query}")


def test_a_page_that_begins_nowhere_is_not_found(owner: Owner) -> None:
    for before in ("", "1", "g" * 32, "0" * 33, "' OR 1=1", "%00", "A" * 32):
        assert owner.get(f"{LIST}?before={before}").status_code == 404


def test_the_list_asks_no_more_questions_when_there_are_more(owner: Owner, app: Flask, store: Store) -> None:
    with app.app_context():
        hooks = [factories.webhook(name=f"hook {number}") for number in range(20)]
    store(hooks[0])
    owner.page(LIST)  # the first page of an app asks for what it keeps
    few = questions(owner, app)
    for hook in hooks:
        store(hook)
    assert questions(owner, app) == few


def questions(owner: Owner, app: Flask) -> int:
    """How many SELECT statements the list takes."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    owner.page(LIST)
    event.remove(engine, "before_cursor_execute", note)
    return sum(statement.startswith("SELECT") for statement in seen)


# --- one delivery


def test_what_there_is_not_is_not_found(owner: Owner) -> None:
    for key in ("0" * 32, "1", "g" * 32, "%00", "A" * 32):
        for path in ("", "/payload", "/explain"):
            assert owner.get(LIST + key + path).status_code == 404
        assert owner.post(f"{LIST}{key}/redeliver").status_code == 404


def test_a_delivery_tells_all_that_is_known(owner: Owner, app: Flask, receiver: Receiver) -> None:
    receiver.answer("/", Answer(500, body=b"oops", headers={"Server": "theirs"}), Answer(202, body=b"taken"))
    with app.app_context():
        factories.webhook(receiver.url(), name="Chat")
        comment = factories.sign("Hello 🎈")
        factories.run_pass()
        factories.all_due()
        factories.run_pass()
        [key] = [row.id for row in factories.deliveries()]
        event_id = factories.one().event_id
    page = owner.page(LIST + key)
    said = " ".join(text(page).split())
    for fact in (
        "Chat", event_id, "delivered", "Hello 🎈", "Triggered by the schedule", "oops", "taken",
        "Server theirs", "X-Guestbook-Attempt 2", "The receiver answered 500.", "Signatures are not stored",
    ):  # fmt: skip
        assert fact in said, fact
    assert said.index("Attempt 2") < said.index("Attempt 1")
    assert f"/admin/comments/{comment}" in [link.attrib["href"] for link in page.findall(".//a")]
    assert "v1," not in said.partition("As a command")[0]


def test_what_is_remarkable_about_a_success_is_a_note_and_no_error(
    owner: Owner, hook: str, store: Store
) -> None:
    key = store(hook, status="processed", attempts=1, claims=1)
    note = "Delivered; the rest of the answer was left unread (too long)."
    with owner.app.app_context():
        factories.attempt(key, status_code=200, error=note)
    page = owner.page(LIST + key)
    [attempt] = by_class(page, "attempt")
    assert [text(badge) for badge in by_class(attempt, "processed")] == ["200"]
    assert [text(name) for name in attempt.findall("dl[1]/dt")] == ["Triggered by", "Note"]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "waiting"),
        ({"attempts": 1, "claims": 1}, "retrying"),
        ({"status": "processed"}, "delivered"),
        ({"status": "failed"}, "given up"),
    ],
)
def test_a_status_is_a_word_that_people_understand(
    owner: Owner, hook: str, store: Store, values: dict[str, Any], word: str
) -> None:
    key = store(hook, **values)
    for url in (LIST, LIST + key, f"/admin/webhooks/{hook}"):
        assert word in [text(badge) for badge in by_class(owner.page(url), "badge")]


def test_an_attempt_tells_its_time_as_people_do_and_exactly_beside_it(
    owner: Owner, hook: str, store: Store
) -> None:
    started = clock.now() - 5 * HOUR
    key = store(hook, {"started_at": started})
    summary = owner.page(LIST + key).find(".//summary")
    assert summary is not None
    time = summary.find(".//time")
    assert time is not None
    exact = clock.to_text(started)
    assert (text(time), time.attrib["datetime"], time.attrib["title"]) == ("5 hours ago", exact, exact)
    assert exact not in text(summary)


OUTLOOKS: list[tuple[dict[str, Any], dict[str, Any], str, bool]] = [
    ({}, {}, "due now, sent with the next pass", True),
    ({"due_at": 5.5 * HOUR}, {}, "in 5 hours", False),
    ({"due_at": HOUR / 120}, {}, "in ", True),
    ({"claimed_by": "a", "claims": 1, "due_at": HOUR}, {}, "a pass is sending it now", True),
    ({"claimed_by": "a", "claims": 1, "due_at": HOUR}, {"url": "pull:"}, "its receiver has fetched it", True),
    ({"claimed_by": "a", "claims": 1, "due_at": -HOUR}, {}, "due now", True),
    (
        {},
        {"disabled_at": 0 * HOUR, "disabled_reason": "gone"},
        "waits, because the webhook is disabled",
        False,
    ),
    ({}, {"paused_until": 2.5 * HOUR}, "in 2 hours, because the webhook is paused until then", False),
    ({}, {"paused_until": HOUR / 120}, "because the webhook is paused", True),
    ({}, {"paused_until": -HOUR}, "due now", True),
    ({"due_at": 5.5 * HOUR}, {"paused_until": HOUR}, "in 5 hours", False),
    ({"status": "processed"}, {}, "", False),
]


def test_the_next_due_time_is_said_in_words(owner: Owner, app: Flask, store: Store) -> None:
    for values, hook_values, words, live in OUTLOOKS:
        with app.app_context():
            key = store(factories.webhook(**from_now(hook_values)), **from_now(values))
        [progress] = owner.page(LIST + key).findall(".//div[@id='progress']")
        said = " ".join(text(progress).split())
        assert ("Next due" in said) is (words != "")
        assert words in said
        assert ("data-live" in progress.attrib) is ("Refresh" in said) is live, words


def from_now(values: dict[str, Any]) -> dict[str, Any]:
    now = clock.now()
    return {name: now + value if isinstance(value, timedelta) else value for name, value in values.items()}


def test_the_payload_is_shown_in_lines_and_given_byte_for_byte(owner: Owner, hook: str, store: Store) -> None:
    body = '{"a":{"b":"Zoë <i>"},"n":1.50}\n'
    key = store(hook, payload=body)
    assert '{\n  "a": {\n    "b": "Zoë <i>"\n  },\n  "n": 1.50\n}' in text(owner.page(LIST + key))
    answer = owner.get(f"{LIST}{key}/payload")
    assert answer.data == body.encode()
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={key}.json"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


ODD = ["", "no json", "[" * 50_000, '{"a":"\\ud800"}', "1" * 5000, "NaN", "\n\n{}", HOSTILE.replace("\0", "")]


def test_a_payload_that_is_odd_is_shown_as_it_is(owner: Owner, hook: str, store: Store) -> None:
    for body in ODD:
        key = store(hook, payload=body)
        owner.page(LIST + key)
        owner.page(f"{LIST}{key}/explain")
        assert owner.get(f"{LIST}{key}/payload").data == body.encode()


def test_what_a_receiver_answers_is_inert(owner: Owner, hook: str, store: Store) -> None:
    foul = HOSTILE.replace("\x00", "")  # which PostgreSQL stores nowhere
    headers = {"response_headers": {foul: foul}, "request_headers": {foul: foul}}
    attempt = {"response_body": foul, "error": foul, **headers}
    key = store(hook, attempt, payload=json.dumps({"x": foul}), last_error=foul)
    for url in (LIST + key, LIST, f"{LIST}{key}/explain"):
        page = owner.page(url)
        said = text(page)
        assert [script.text for script in page.findall(".//script")] == [None]
        assert "\u202e" not in said
        assert "\x1b" not in said
        assert "{{ 7*7 }}" in said
    assert r"\u{202e}back \u{1b}[31m" in text(owner.page(LIST + key))


def test_long_answers_and_those_without_a_word_are_shown(owner: Owner, hook: str, store: Store) -> None:
    key = store(hook, {"response_body": "x" * 16384})
    assert "x" * 16384 in text(owner.page(LIST + key))
    key = store(hook, {"status_code": None, "response_body": None, "response_headers": None})
    assert "no answer" in text(owner.page(LIST + key))
    key = store(hook, {"status_code": 204, "response_body": "", "error": None})
    assert "The answer had no body." in text(owner.page(LIST + key))


def test_many_attempts_come_page_by_page(
    owner: Owner, hook: str, app: Flask, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "ATTEMPTS_SHOWN", 2)
    key = store(hook, {}, attempts=5, claims=5)
    with app.app_context():
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
