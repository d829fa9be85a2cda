"""What the lists of deliveries and of inbound events have alike: filters, pages, payloads, requeueing."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.lib import body_encoding, clock
from guestbook.queue import redelivery
from guestbook.storage.models import Delivery, InboundEvent
from guestbook.web.admin import queue as queue_pages
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import by_class, parse, plain, text

HOUR = timedelta(hours=1)
HOSTILE = '</pre><script>alert(1)</script> {{ 7*7 }} \u202eback \x1b[31m it\'s "x" 🎈\r\nsecond\rthird'


@dataclass(frozen=True)
class Kind:
    """One of the two lists, and the words in which it differs from the other."""

    url: str
    model: type[Delivery] | type[InboundEvent]
    owner: str
    add_owner: Callable[..., str]
    add_row: Callable[..., str]
    time: str  # the column of the row's time
    error: str  # that of its error
    file: str  # how the name of the file with its payload ends
    verb: str
    nouns: str
    requeued: str
    busy: str


KINDS = [
    Kind(
        *("/admin/deliveries/", Delivery, "webhook", factories.webhook, factories.delivery),
        *("created_at", "last_error", "json", "redeliver", "deliveries"),
        *("It is due now. The next pass sends it.", "pass is sending it now"),
    ),
    Kind(
        *("/admin/inbox/", InboundEvent, "source", factories.source, factories.inbound),
        *("received_at", "error", "bin", "reprocess", "events"),
        *("It is due now: the next pass processes it", "pass is processing it now"),
    ),
]


class Queue:
    """A book with an owner of rows, named Chat."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.url = kind, kind.url
        self.chat = self.add(name="Chat")

    def add(self, **values: Any) -> str:
        if "disabled_at" in values and self.kind.owner == "webhook":
            values["disabled_reason"] = "by_hand"
        return self.kind.add_owner(**values)

    def put(self, owner_id: str | None = None, *, ago: timedelta | None = None, **values: Any) -> str:
        if ago is not None:
            values[self.kind.time] = clock.now() - ago
        if "error" in values:
            values[self.kind.error] = values.pop("error")
        return self.kind.add_row(owner_id or self.chat, **values)

    def leased(self) -> str:
        return self.put(claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)

    def the(self, key: str) -> Any:
        return factories.the(self.kind.model, key)

    def statuses(self, keys: list[str]) -> list[str]:
        return [self.the(key).status for key in keys]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.nouns)
def queue(request: pytest.FixtureRequest, app: Flask) -> Queue:  # noqa: ARG001  the factories fill it
    return Queue(request.param)


def boxes(page: Element) -> list[str]:
    """The ids on a page of the list, from the top."""
    return [box.attrib["value"] for box in page.findall(".//input[@name='id']")]


def sent_by(page: Element) -> dict[str, object]:
    """What the button of the question sends."""
    fields: dict[str, list[str]] = {}
    for one in page.findall(".//main//form[@method='post']/input"):
        fields.setdefault(one.attrib["name"], []).append(one.attrib["value"])
    return dict(fields)


def test_each_filter_narrows_the_list_and_two_do_so_together(owner: Owner, queue: Queue) -> None:
    two, now = queue.add(name="Two"), clock.now()
    a = queue.put(status="failed", ago=5 * HOUR, error="The name could not be found.")
    b = queue.put(ago=3 * HOUR, event="ping", payload='{"name":"Zoë 100%"}')
    c = queue.put(two, status="failed", ago=HOUR)
    d = queue.put(two, status="processed")
    by, empty = queue.kind.owner, "?status=&event=&since=&until=&text="

    def at(moment: datetime) -> str:
        return f"{moment:%Y-%m-%dT%H:%M}"

    for query, wanted in {
        "?status=failed": [c, a],
        f"?{by}={queue.chat}": [b, a],
        "?event=ping": [b],
        f"?since={at(now - 4 * HOUR)}": [d, c, b],
        f"?until={at(now - 2 * HOUR)}": [b, a],
        "?since=2h": [d, c],
        "?text=Zoë 100%25": [b],
        "?text=NAME could": [a],
        f"?status=failed&{by}={two}&since=2h": [c],
        f"{empty}&{by}=": [d, c, b, a],
    }.items():
        assert boxes(owner.page(queue.url + query)) == wanted, query


def test_the_form_keeps_what_it_was_sent_with(owner: Owner, queue: Queue) -> None:
    query = f"?status=new&{queue.kind.owner}={queue.chat}&since=2026-01-31T18:30&text=%22%3E"
    page = owner.page(queue.url + query)
    chosen = [option.attrib["value"] for option in page.findall(".//form[1]//option[@selected]")]
    both = "new" if queue.kind.owner == "webhook" else "waiting"
    assert chosen[:2] == [both, queue.chat]
    values = {one.attrib["id"]: one.attrib.get("value") for one in page.findall(".//input[@id]")}
    assert values["since"] == values["failed-since"] == "2026-01-31T18:30"
    assert values["until"] == values["failed-until"] == ""
    assert values["text"] == '">'


def test_pages_follow_each_other_without_a_gap_or_a_repeat(owner: Owner, queue: Queue) -> None:
    keys = [queue.put(status="failed") for _ in range(60)]
    queue.put(status="processed")
    first = owner.page(f"{queue.url}?status=failed")
    [older] = by_class(first, "older")
    assert "status=failed" in older.attrib["href"]
    second = owner.page(older.attrib["href"])
    assert boxes(first) + boxes(second) == keys[::-1]
    newest = second.findall(".//nav[@class='pagination']/a")
    assert [link.attrib["href"] for link in newest] == [f"{queue.url}?status=failed"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("status=sent", "There is no status 'sent'."),
        ("OWNER=1", "This OWNER no longer exists."),
        ("OWNER=" + "0" * 32, "This OWNER no longer exists."),
        ("since=yesterday", "'yesterday' is no time such as"),
        ("until=0001-01-01T00:00%2B14:00", "is no time such as"),
        ("since=" + "9" * 10_000 + "d", "is no time such as"),
        ("since=%ED%A0%80", "is no time such as"),
        ("until=%D9%A1d", "is no time such as"),
    ],
)
def test_a_wrong_filter_gets_a_sentence(owner: Owner, queue: Queue, query: str, sentence: str) -> None:
    answer = owner.get(f"{queue.url}?{query.replace('OWNER', queue.kind.owner)}")
    assert answer.status_code == 422
    assert sentence.replace("OWNER", queue.kind.owner) in text(parse(answer))
    assert "Nothing was" not in answer.text


def test_odd_filters_are_taken(owner: Owner, queue: Queue) -> None:
    for _ in range(51):
        queue.put()
    for value in ("%00", "x" * 5000, "%F0%9F%8E%88", "%ED%A0%80", "%25"):
        owner.page(f"{queue.url}?text={value}")
    for query in ("since=0001-01-01", "until=9999-12-31T23:59", "endpoint=x&_external=1&nonsense=1"):
        owner.page(f"{queue.url}?{query}")
    for before in ("", "1", "g" * 32, "0" * 33, "' OR 1=1", "%00", "A" * 32):
        assert owner.get(f"{queue.url}?before={before}").status_code == 404


def test_the_payload_is_shown_in_lines_and_given_byte_for_byte(owner: Owner, queue: Queue) -> None:
    body = '{"a":{"b":"Zoë <i>"},"n":1.50}\n'
    key = queue.put(payload=body)
    assert '{\n  "a": {\n    "b": "Zoë <i>"\n  },\n  "n": 1.50\n}' in text(owner.page(queue.url + key))
    answer = owner.get(f"{queue.url}{key}/payload")
    assert answer.data == body.encode()
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={key}.{queue.kind.file}"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    for odd in ("", "no json", "[" * 50_000, '{"a":"\\ud800"}', "NaN", "\n\n{}", HOSTILE):
        key = queue.put(payload=odd)
        owner.page(queue.url + key)
        assert owner.get(f"{queue.url}{key}/payload").data == odd.encode()
    long = owner.get(queue.url + queue.put(payload="x" * (body_encoding.SHOWN_CHARACTERS + 1))).text
    assert "Only the beginning is shown." in long
    assert "x" * body_encoding.SHOWN_CHARACTERS in long


@pytest.mark.parametrize("status", ["processed", "failed", "new"])
def test_a_button_makes_one_due_again(owner: Owner, queue: Queue, status: str) -> None:
    waits = {"due_at": clock.now() + HOUR} if status == "new" else {}
    key = queue.put(status=status, attempts=3, claims=13, error="No.", **waits)
    page = owner.does(f"{queue.url}{key}/{queue.kind.verb}")
    assert queue.kind.requeued in text(page)
    replaces = status == "new" and queue.kind.owner == "webhook"
    assert ("replaces the scheduled retry" in text(page)) is replaces
    row = queue.the(key)
    assert (row.status, row.attempts) == ("new", 3)
    assert row.due_at <= clock.now()


def test_a_row_that_a_pass_has_or_whose_owner_is_disabled_says_so(owner: Owner, queue: Queue) -> None:
    key, verb = queue.leased(), queue.kind.verb
    assert f"A {queue.kind.busy}" in text(owner.does(f"{queue.url}{key}/{verb}"))
    page = owner.page(f"{queue.url}{verb}?id={key}")
    assert f"Nothing to {verb}" in text(page)
    assert page.findall(".//main//form") == []
    assert f"0 {queue.kind.nouns} are due now" in text(owner.does(f"{queue.url}{verb}", {"id": [key]}))
    assert queue.the(key).claimed_by == "a pass"
    asleep = queue.put(queue.add(disabled_at=clock.now()), status="failed")
    said = text(owner.does(f"{queue.url}{asleep}/{verb}"))
    assert f"waits until its {queue.kind.owner} is enabled" in said


def test_a_selection_is_counted_before_anything_happens(owner: Owner, queue: Queue) -> None:
    asleep = queue.add(name="Asleep <b>", disabled_at=clock.now())
    keys = [queue.put(status="failed"), queue.put(status="processed"), queue.put(asleep, status="failed")]
    leased, other = queue.leased(), queue.put(status="failed")
    verb, nouns = queue.kind.verb, queue.kind.nouns
    query = "&".join(f"id={key}" for key in (*keys, leased, keys[0], "0" * 32))
    page = owner.page(f"{queue.url}{verb}?{query}")
    said = plain(page)
    assert f"{verb.title()} 3 {nouns}?" in said
    assert f"Asleep <b> 1 Disabled: its {nouns} wait until you enable it." in said
    assert f"Chat 2 1 more is skipped: a {queue.kind.busy}." in said
    assert queue.statuses(keys) == ["failed", "processed", "failed"]
    assert f"3 {nouns} are due now" in text(owner.does(f"{queue.url}{verb}", sent_by(page)))
    assert queue.statuses([*keys, other]) == ["new", "new", "new", "failed"]
    assert queue.the(leased).claimed_by == "a pass"


def test_all_that_failed_go_in_batches(owner: Owner, queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    mine = [queue.put(status="failed", ago=(hours + 0.5) * HOUR) for hours in range(5)]
    other, done = queue.add(name="Other"), queue.put(status="processed")
    queue.put(other, status="failed")
    verb, nouns, by = queue.kind.verb, queue.kind.nouns, queue.kind.owner
    ask = f"{queue.url}{verb}?failed=1"
    for query, number in (("", f"6 {nouns}"), ("&since=3h", f"4 {nouns}"), (f"&{by}={other}", "1 ")):
        assert f"{verb.title()} {number}" in text(owner.page(ask + query))
    page = owner.page(f"{ask}&{by}={queue.chat}&since=3h")
    assert queue.statuses(mine) == ["failed"] * 5
    assert f"3 {nouns} are due now" in text(owner.does(f"{queue.url}{verb}", sent_by(page)))
    assert queue.statuses([*mine, done]) == ["new"] * 3 + ["failed"] * 2 + ["processed"]


def test_a_time_range_of_one_goes_whatever_became_of_it(owner: Owner, queue: Queue) -> None:
    other, verb, by = queue.add(name="Other"), queue.kind.verb, queue.kind.owner
    rows = [queue.put(status=status, ago=3 * HOUR) for status in ("processed", "failed", "new")]
    left = [
        queue.put(status="processed", ago=9 * HOUR),
        queue.put(status="processed", ago=HOUR / 2),
        queue.put(other, status="processed", ago=3 * HOUR),
    ]
    chosen = f"?failed=1&all=1&{by}={queue.chat}&until=1h"
    page = owner.page(f"{queue.url}{verb}{chosen}&since=5h")
    assert f"{verb.title()} 3 {queue.kind.nouns}?" in text(page)
    assert f"3 {queue.kind.nouns} are due now" in text(owner.does(f"{queue.url}{verb}", sent_by(page)))
    assert (queue.statuses(rows), queue.statuses(left)) == (["new"] * 3, ["processed"] * 3)
    for incomplete in (chosen, f"?failed=1&all=1&since=5h&{by}="):
        answer = owner.get(f"{queue.url}{verb}{incomplete}")
        assert (answer.status_code, f"Choose one {by}, and the time" in answer.text) == (422, True)


def test_a_wrong_choice_gets_a_sentence(owner: Owner, queue: Queue) -> None:
    url, nouns, by = queue.url + queue.kind.verb, queue.kind.nouns, queue.kind.owner
    wrong: list[tuple[dict[str, object], str]] = [
        ({}, f"First select the {nouns} to be {queue.kind.verb}ed."),
        ({"id": [f"{number:032x}" for number in range(501)]}, f"You selected 501 {nouns}. At most 500"),
        ({"failed": "1", "since": "soon"}, "is no time such as"),
        ({"failed": "1", by: "nobody"}, f"This {by} no longer exists."),
    ]
    for fields, sentence in wrong:
        for answer in (owner.get(url, query_string=fields), owner.post(url, fields)):
            assert answer.status_code == 422
            assert sentence in text(parse(answer))
    assert owner.get(f"{url}?id=1").status_code == 404
    assert owner.post(url, {"id": "x' OR '1"}).status_code == 404
    keys = [queue.put(status="failed") for _ in range(3)] + [f"{number:032x}" for number in range(497)]
    assert len(keys) == queue_pages.MOST_IDS
    assert f"3 {nouns} are due now" in text(owner.does(url, {"id": keys}))
