"""The inbox in the admin pages: the list with its filters, one event with its verification, reprocessing."""

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.lib import byte_view, clock
from guestbook.lib.verification import verify_signature
from guestbook.queue import redelivery
from guestbook.storage.models import InboundEvent
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import by_class, parse, text

LIST = "/admin/inbox/"
HOUR = timedelta(hours=1)
SECRET = "It's a Secret to Everybody"
HOSTILE = '</pre><script>alert(1)</script> {{ 7*7 }} \u202eback \x1b[31m it\'s "x" 🎈\r\nsecond\rthird'


class Inbox:
    """A book with a source named GitHub."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.source = self.add(name="GitHub")

    def add(self, **values: Any) -> str:
        with self.app.app_context():
            return factories.source(**values)

    def put(self, source: str | None = None, **values: Any) -> str:
        with self.app.app_context():
            return factories.inbound(source or self.source, **values)

    def the(self, key: str) -> InboundEvent:
        with self.app.app_context():
            row: InboundEvent = factories.the(InboundEvent, key)
            return row

    def statuses(self) -> list[str]:
        with self.app.app_context():
            return [row.status for row in factories.inbound_events()]


@pytest.fixture
def inbox(app: Flask) -> Inbox:
    return Inbox(app)


def listed(owner: Owner, query: str = "") -> list[str]:
    """The ids on a page of the list, from the top."""
    boxes = owner.page(LIST + query).findall(".//input[@name='id']")
    return [box.attrib["value"] for box in boxes]


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%dT%H:%M}"


def links(page: Element) -> list[str]:
    return [link.attrib["href"] for link in page.findall(".//main//a[@href]")]


# --- the list


def test_an_empty_inbox_says_how_something_comes_into_it(owner: Owner) -> None:
    page = owner.page(LIST)
    assert "No events yet. Add a source" in " ".join(text(page).split())
    assert "/admin/sources/new" in links(page)
    assert "No event matches" in text(owner.page(LIST + "?status=failed"))


def test_the_list_is_newest_first_and_tells_what_became_of_each(owner: Owner, inbox: Inbox) -> None:
    old = inbox.put(status="failed", error="There is no header X-Hub-Signature-256.", event="push")
    new = inbox.put(event="issues.opened", sender="octocat")
    assert listed(owner) == [new, old]
    rows = [" ".join(text(row).split()) for row in owner.page(LIST).findall(".//tbody/tr")]
    assert rows[0].endswith("issues.opened GitHub GitHub octocat waiting nothing yet")
    assert rows[1].endswith(" push GitHub GitHub – failed There is no header X-Hub-Signature-256.")


def test_each_filter_narrows_the_list_and_two_do_so_together(owner: Owner, inbox: Inbox) -> None:
    two, now = inbox.add(name="Two"), clock.now()
    a = inbox.put(status="failed", received_at=now - 5 * HOUR, error="The body is not UTF-8.")
    b = inbox.put(received_at=now - 3 * HOUR, event="push", payload='{"name":"Zo\\u00eb 100%"}')
    c = inbox.put(two, status="failed", received_at=now - HOUR, event="issues.closed", external_id="e-1")
    d = inbox.put(two, status="processed", sender="octocat")
    assert listed(owner, "?status=failed") == [c, a]
    assert listed(owner, f"?source={inbox.source}") == [b, a]
    assert listed(owner, "?event=push") == [b]
    assert listed(owner, "?event=issues") == [c]
    assert listed(owner, "?sender=OCTO") == [d]
    assert listed(owner, "?external_id=e-1") == [c]
    assert listed(owner, f"?since={moment(now - 4 * HOUR)}") == [d, c, b]
    assert listed(owner, f"?until={moment(now - 2 * HOUR)}") == [b, a]
    assert listed(owner, "?text=Zoë 100%25") == [b]
    assert listed(owner, "?text=BODY is") == [a]
    assert listed(owner, f"?status=failed&source={two}&since=2h") == [c]
    assert listed(owner, "?status=&source=&event=&sender=&external_id=&since=&until=&text=") == [d, c, b, a]


def test_the_form_keeps_what_it_was_sent_with(owner: Owner, inbox: Inbox) -> None:
    page = owner.page(
        LIST + f"?status=new&source={inbox.source}&event=push&since=2026-01-31T18:30&text=%22%3E"
    )
    chosen = [option.attrib["value"] for option in page.findall(".//form[1]//option[@selected]")]
    assert chosen[:2] == ["new", inbox.source]
    values = {one.attrib["id"]: one.attrib.get("value") for one in page.findall(".//input[@id]")}
    assert values["since"] == values["failed-since"] == "2026-01-31T18:30"
    assert (values["event"], values["text"]) == ("push", '">')


def test_pages_follow_each_other_without_a_gap_or_a_repeat(owner: Owner, inbox: Inbox) -> None:
    keys = [inbox.put(status="failed") for _ in range(60)]
    inbox.put(status="processed")
    first = owner.page(LIST + "?status=failed")
    [older] = by_class(first, "older")
    assert "status=failed" in older.attrib["href"]
    seen = listed(owner, "?status=failed") + listed(owner, older.attrib["href"].removeprefix(LIST))
    assert seen == keys[::-1]


WRONG = {
    "status=sent": "There is no status 'sent'.",
    "source=1": "This source no longer exists.",
    "source=" + "0" * 32: "This source no longer exists.",
    "since=yesterday": "'yesterday' is no time such as",
    "until=%D9%A1d": "is no time such as",
}


def test_a_filter_that_is_none_gets_a_sentence(owner: Owner) -> None:
    for query, sentence in WRONG.items():
        answer = owner.get(f"{LIST}?{query}")
        assert answer.status_code == 422
        assert sentence in text(parse(answer))


def test_odd_filters_are_taken(owner: Owner, inbox: Inbox) -> None:
    for _ in range(51):
        inbox.put()
    for name in ("text", "event", "sender", "external_id"):
        for value in ("%00", "x" * 5000, "%F0%9F%8E%88", "%ED%A0%80", "%25"):
            owner.page(f"{LIST}?{name}={value}")
    for before in ("", "1", "g" * 32, "%00"):
        assert owner.get(f"{LIST}?before={before}").status_code == 404


# --- one event


def signed(body: str, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"}


def test_what_there_is_not_is_not_found(owner: Owner) -> None:
    for key in ("0" * 32, "1", "g" * 32, "%00", "A" * 32):
        for path in ("", "/payload"):
            assert owner.get(LIST + key + path).status_code == 404
        assert owner.post(f"{LIST}{key}/reprocess").status_code == 404


def test_an_event_tells_how_it_was_verified(owner: Owner, inbox: Inbox) -> None:
    source = inbox.add(name="Forge", verify="github", secret=SECRET)
    good = inbox.put(source, payload='{"a":1}', headers=signed('{"a":1}'))
    said = words(owner.page(LIST + good), "verification")
    assert "Verification verified The signature in X-Hub-Signature-256 matches the current secret." in said
    assert 'What was signed {"a":1} (7 bytes)' in said
    assert "Secret the current secret matches" in said
    bad = inbox.put(source, payload='{"a":2}', headers=signed('{"a":1}'))
    said = words(owner.page(LIST + bad), "verification")
    assert "Verification not verified" in said
    assert "does not match this source's secret" in said
    assert SECRET not in owner.get(LIST + bad).text
    said = words(owner.page(LIST + inbox.put()), "verification")
    assert "not required Nothing is proven" in said


def words(page: Element, name: str) -> str:
    return " ".join(text(page.find(f".//section[@aria-labelledby='{name}']")).split())


def test_what_stands_for_a_secret_is_hidden(owner: Owner, inbox: Inbox) -> None:
    proof = verify_signature.proof("opensesame", owner.app.config["GUESTBOOK"].secret_key)
    source = inbox.add(verify="token", header="X-Api-Key", secret="opensesame")
    key = inbox.put(source, headers={"x-api-key": proof, "user-agent": "curl"})
    page = owner.page(LIST + key)
    assert words(page, "headers") == "Headers x-api-key (hidden) user-agent curl"
    assert "The token in X-Api-Key is the current secret." in words(page, "verification")
    for secret in ("opensesame", proof):
        assert secret not in text(page)


def test_what_became_of_it_is_told_with_a_link(owner: Owner, app: Flask, inbox: Inbox) -> None:
    failed = inbox.put(status="failed", error="The template cannot be used: line 1.")
    page = owner.page(LIST + failed)
    assert "failed Error The template cannot be used: line 1." in words(page, "state")
    assert f"/admin/sources/{inbox.source}/edit" in links(page)
    with app.app_context():
        comment = factories.sign()
    key = inbox.put(status="processed", note="It became a comment.", comment_id=comment)
    page = owner.page(LIST + key)
    assert "processed Action It became a comment." in words(page, "state")
    assert f"/admin/comments/{comment}" in links(page)
    assert f"/admin/sources/{inbox.source}" in links(page)


def test_what_was_passed_on_leads_to_its_deliveries(owner: Owner, app: Flask, inbox: Inbox) -> None:
    with app.app_context():
        factories.webhook(events="inbound.received")
    key = inbox.put(inbox.add(action="forward"), payload='{"a":1}')
    inbox.put(inbox.add(action="forward"))
    with app.app_context():
        factories.run_pass()
        [mine] = [row for row in factories.deliveries() if key in row.payload]
    page = owner.page(LIST + key)
    assert "Passed on to 1 webhook." in words(page, "state")
    [link] = [link for link in links(page) if link.startswith("/admin/deliveries/")]
    boxes = owner.page(link).findall(".//input[@name='id']")
    assert [box.attrib["value"] for box in boxes] == [mine.id]


OUTLOOKS: list[tuple[dict[str, Any], bool, str, bool]] = [
    ({}, False, "with the next pass", True),
    ({"claimed_by": "a", "claims": 1, "due_at": HOUR}, False, "a pass is processing it now", True),
    ({"claimed_by": "a", "claims": 1, "due_at": -HOUR}, False, "with the next pass", True),
    ({}, True, "waits because the source is disabled", False),
    ({"status": "processed"}, False, "", False),
]


def test_when_it_is_worked_through_is_said_in_words(owner: Owner, inbox: Inbox) -> None:
    for values, is_disabled, outlook, live in OUTLOOKS:
        source = inbox.add(disabled_at=clock.now() if is_disabled else None)
        due = {"due_at": clock.now() + values["due_at"]} if "due_at" in values else {}
        page = owner.page(LIST + inbox.put(source, **{**values, **due}))
        [progress] = page.findall(".//div[@id='progress']")
        said = " ".join(text(progress).split())
        assert ("Next" in said) is (outlook != "")
        assert outlook in said
        assert ("data-live" in progress.attrib) is ("Refresh" in said) is live


def test_the_payload_is_shown_as_people_read_it_and_given_byte_for_byte(owner: Owner, inbox: Inbox) -> None:
    body = '{"a":{"b":"Zoë <i>"}}\n'
    key = inbox.put(payload=body)
    assert '{\n  "a": {\n    "b": "Zoë <i>"\n  }\n}' in text(owner.page(LIST + key))
    answer = owner.get(f"{LIST}{key}/payload")
    assert answer.data == body.encode()
    assert answer.content_type == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={key}.bin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    form = inbox.put(payload="a=x+y&b=", headers={"content-type": "application/x-www-form-urlencoded"})
    assert "a: x y\nb: " in text(owner.page(LIST + form))
    binary = inbox.put(payload="/wAB", encoding="base64")
    assert "0000  ff 00 01" in text(owner.page(LIST + binary))
    assert owner.get(f"{LIST}{binary}/payload").data == b"\xff\x00\x01"
    assert "The body is empty." in text(owner.page(LIST + inbox.put(payload="")))


def test_a_long_payload_is_cut_on_the_page_and_whole_in_the_file(owner: Owner, inbox: Inbox) -> None:
    key = inbox.put(payload="x" * (byte_view.SHOWN_CHARACTERS + 1))
    answer = owner.get(LIST + key)
    assert "Only the beginning is shown." in answer.text
    assert answer.text.count("x" * byte_view.SHOWN_CHARACTERS) == 1
    assert len(owner.get(f"{LIST}{key}/payload").data) == byte_view.SHOWN_CHARACTERS + 1


@pytest.mark.parametrize("body", ["no json", "[" * 50_000, '{"a":"\\ud800"}', "1" * 5000, "\n\n{}", HOSTILE])
def test_a_payload_that_is_odd_is_shown_all_the_same(owner: Owner, inbox: Inbox, body: str) -> None:
    key = inbox.put(payload=body)
    owner.page(LIST + key)
    assert owner.get(f"{LIST}{key}/payload").data == body.encode()


def test_what_others_send_is_inert(owner: Owner, inbox: Inbox) -> None:
    foul = dict.fromkeys(("event", "sender", "external_id", "error", "note"), HOSTILE[:90])
    key = inbox.put(headers={HOSTILE: HOSTILE}, payload=HOSTILE, status="failed", **foul)
    for url in (LIST + key, LIST, f"/admin/sources/{inbox.source}"):
        page = owner.page(url)
        said = text(page)
        assert [script.text for script in page.findall(".//script")] == [None]
        assert "\u202e" not in said
        assert "\x1b" not in said
        assert "{{ 7*7 }}" in said


# --- reprocess


@pytest.mark.parametrize("status", ["processed", "failed", "new"])
def test_a_button_makes_one_due_again(owner: Owner, inbox: Inbox, status: str) -> None:
    key = inbox.put(status=status, attempts=3, claims=13, error="No.")
    page = owner.does(f"{LIST}{key}/reprocess")
    assert "It is due now: the next pass processes it" in text(page)
    row = inbox.the(key)
    assert (row.status, row.error, row.attempts, row.claims) == ("new", None, 3, 3)


def test_what_a_pass_has_in_hand_or_cannot_have_yet_says_so(owner: Owner, inbox: Inbox) -> None:
    key = inbox.put(claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    assert "A pass is processing it now" in text(owner.does(f"{LIST}{key}/reprocess"))
    assert inbox.the(key).claimed_by == "a pass"
    page = owner.page(f"{LIST}reprocess?id={key}")
    assert "Nothing to reprocess" in text(page)
    assert page.findall(".//main//form") == []
    asleep = inbox.put(inbox.add(disabled_at=clock.now()), status="failed")
    assert "waits until its source is enabled" in text(owner.does(f"{LIST}{asleep}/reprocess"))


def sent_by(page: Element) -> dict[str, object]:
    """What the button of the question sends."""
    fields: dict[str, list[str]] = {}
    for one in page.findall(".//main//form[@method='post']/input"):
        fields.setdefault(one.attrib["name"], []).append(one.attrib["value"])
    return dict(fields)


def test_a_selection_is_counted_before_anything_happens(owner: Owner, inbox: Inbox) -> None:
    asleep = inbox.add(name="Asleep <b>", disabled_at=clock.now())
    keys = [inbox.put(status="failed"), inbox.put(status="processed"), inbox.put(asleep, status="failed")]
    leased = inbox.put(claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    other = inbox.put(status="failed")
    query = "&".join(f"id={key}" for key in (*keys, leased, keys[0], "0" * 32))
    page = owner.page(f"{LIST}reprocess?{query}")
    said = " ".join(text(page).split())
    assert "Reprocess 3 events?" in said
    assert "Asleep <b> 1 Disabled: its events wait until you enable it." in said
    assert "GitHub 2 1 more is skipped: a pass is processing it now." in said
    assert [inbox.the(key).status for key in keys] == ["failed", "processed", "failed"]
    assert "3 events are due now" in text(owner.does(f"{LIST}reprocess", sent_by(page)))
    assert [inbox.the(key).status for key in keys] == ["new"] * 3
    assert (inbox.the(other).status, inbox.the(leased).claimed_by) == ("failed", "a pass")


def test_all_that_failed_since_are_counted_and_go_in_batches(
    owner: Owner, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    other, now = inbox.add(name="Other"), clock.now()
    mine = [inbox.put(status="failed", received_at=now - (hours + 0.5) * HOUR) for hours in range(5)]
    inbox.put(other, status="failed")
    ask = f"{LIST}reprocess?failed=1"
    for query, count in (("", 6), ("&since=3h", 4), (f"&source={inbox.source}&since=3h", 3)):
        assert f"Reprocess {count} events?" in text(owner.page(ask + query))
    page = owner.page(f"{ask}&source={inbox.source}&since=3h")
    assert "3 events are due now" in text(owner.does(f"{LIST}reprocess", sent_by(page)))
    assert [inbox.the(key).status for key in mine] == ["new"] * 3 + ["failed"] * 2


NO_CHOICE: list[tuple[dict[str, object], str]] = [
    ({}, "First select the events to be reprocessed."),
    ({"id": [f"{number:032x}" for number in range(501)]}, "You selected 501 events. At most 500"),
    ({"failed": "1", "since": "soon"}, "is no time such as"),
    ({"failed": "1", "source": "nobody"}, "This source no longer exists."),
]


def test_a_choice_that_is_none_gets_a_sentence(owner: Owner) -> None:
    for fields, sentence in NO_CHOICE:
        confirmation = owner.get(f"{LIST}reprocess", query_string=fields)
        for answer in (confirmation, owner.post(f"{LIST}reprocess", fields)):
            assert answer.status_code == 422
            assert sentence in text(parse(answer))
    assert owner.get(f"{LIST}reprocess?id=1").status_code == 404


def test_to_look_changes_nothing(owner: Owner, inbox: Inbox) -> None:
    key = inbox.put(status="failed")
    for path in ("", key, f"{key}/payload", f"reprocess?id={key}", "reprocess?failed=1"):
        assert owner.get(LIST + path).status_code == 200
    assert owner.get(f"{LIST}{key}/reprocess").status_code in (404, 405)
    assert inbox.statuses() == ["failed"]


def test_the_overview_counts_what_waits_and_what_failed_where_there_is_a_source(
    owner: Owner, app: Flask
) -> None:
    assert len(tiles(owner)) == 3
    inbox = Inbox(app)
    assert tiles(owner)[3] == "0 in the inbox Nothing is waiting or has failed."
    inbox.put()
    assert tiles(owner)[3] == "1 in the inbox Waiting for the next pass."
    inbox.put(status="failed")
    inbox.put(status="failed")
    inbox.put(status="processed")
    assert tiles(owner)[3] == "2 failed in the inbox Fix their source, then reprocess them. 1 more waiting."
    assert "/admin/inbox/?status=failed" in links(owner.page("/admin/"))


def tiles(owner: Owner) -> list[str]:
    [row] = by_class(owner.page("/admin/"), "tiles")
    return [" ".join(text(tile).split()) for tile in row.findall("li")]


def test_a_source_leads_to_its_events(owner: Owner, inbox: Inbox) -> None:
    key = inbox.put(event="push")
    page = owner.page(f"/admin/sources/{inbox.source}")
    assert {LIST + key, f"{LIST}?source={inbox.source}"} <= set(links(page))
    assert "push" in words(page, "latest")
