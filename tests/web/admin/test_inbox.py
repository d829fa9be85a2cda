"""The inbox in the admin pages: the list with its filters, one event with its verification, reprocessing."""

import hashlib
import hmac
from datetime import timedelta
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.lib import clock, verification
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import by_class, plain, text

LIST = "/admin/inbox/"
HOUR = timedelta(hours=1)
SECRET = "It's a Secret to Everybody"
HOSTILE = '</pre><script>alert(1)</script> {{ 7*7 }} \u202eback \x1b[31m it\'s "x" 🎈\r\nsecond\rthird'


@pytest.fixture
def github(app: Flask) -> str:  # noqa: ARG001  the factories fill it
    """A source named GitHub."""
    return factories.source(name="GitHub")


def listed(owner: Owner, query: str = "") -> list[str]:
    """The ids on a page of the list, from the top."""
    boxes = owner.page(LIST + query).findall(".//input[@name='id']")
    return [box.attrib["value"] for box in boxes]


def links(page: Element) -> list[str]:
    return [link.attrib["href"] for link in page.findall(".//main//a[@href]")]


# --- the list


def test_an_empty_inbox_says_how_something_comes_into_it(owner: Owner) -> None:
    page = owner.page(LIST)
    assert "No events yet. Add a source" in plain(page)
    assert "/admin/sources/new" in links(page)
    assert "No event matches" in text(owner.page(LIST + "?status=failed"))


def test_the_list_is_newest_first_and_tells_what_became_of_each(owner: Owner, github: str) -> None:
    old = factories.inbound(github, status="failed", error="There is no header X-Sign.", event="push")
    new = factories.inbound(github, event="issues.opened", sender="octocat")
    assert listed(owner) == [new, old]
    rows = [plain(row) for row in owner.page(LIST).findall(".//tbody/tr")]
    assert rows[0].endswith("issues.opened GitHub GitHub octocat waiting nothing yet")
    assert rows[1].endswith(" push GitHub GitHub – failed There is no header X-Sign.")


def test_filters_by_what_the_sender_says_narrow_the_list(owner: Owner, github: str) -> None:
    a = factories.inbound(github, event="push", payload='{"name":"Zo\\u00eb 100%"}')
    b = factories.inbound(github, event="issues.closed", external_id="e-1")
    c = factories.inbound(github, sender="octocat", status="processed")
    for query, wanted in {"event=push": a, "event=issues": b, "sender=OCTO": c, "external_id=e-1": b}.items():
        assert listed(owner, f"?{query}") == [wanted]
    assert listed(owner, "?text=Zoë 100%25") == [a]
    assert listed(owner, "?status=&source=&event=&sender=&external_id=&since=&until=&text=") == [c, b, a]
    for name in ("event", "sender", "external_id"):
        for value in ("%00", "x" * 5000, "%F0%9F%8E%88", "%ED%A0%80", "%25"):
            owner.page(f"{LIST}?{name}={value}")


# --- one event


def signed(body: str, secret: str = SECRET) -> dict[str, str]:
    digest = hmac.new(secret.encode(), body.encode(), hashlib.sha256).hexdigest()
    return {"content-type": "application/json", "x-hub-signature-256": f"sha256={digest}"}


def test_an_event_tells_how_it_was_verified(owner: Owner, github: str) -> None:
    source = factories.source(name="Forge", verify="github", secret=SECRET)
    good = factories.inbound(source, payload='{"a":1}', headers=signed('{"a":1}'))
    said = words(owner.page(LIST + good), "verification")
    assert "Verification verified The signature in X-Hub-Signature-256 matches the current secret." in said
    assert 'What was signed {"a":1} (7 bytes)' in said
    assert "Secret the current secret matches" in said
    bad = factories.inbound(source, payload='{"a":2}', headers=signed('{"a":1}'))
    said = words(owner.page(LIST + bad), "verification")
    assert "Verification not verified" in said
    assert "does not match this source's secret" in said
    assert SECRET not in owner.get(LIST + bad).text
    said = words(owner.page(LIST + factories.inbound(github)), "verification")
    assert "not required Nothing is proven" in said


def words(page: Element, name: str) -> str:
    return plain(page.find(f".//section[@aria-labelledby='{name}']"))


def test_what_stands_for_a_secret_is_hidden(owner: Owner) -> None:
    proof = verification.proof("opensesame", owner.app.config["GUESTBOOK"].secret_key)
    source = factories.source(verify="token", header="X-Api-Key", secret="opensesame")
    key = factories.inbound(source, headers={"x-api-key": proof, "user-agent": "curl"})
    page = owner.page(LIST + key)
    assert words(page, "headers") == "Headers x-api-key (hidden) user-agent curl"
    assert "The token in X-Api-Key is the current secret." in words(page, "verification")
    for secret in ("opensesame", proof):
        assert secret not in text(page)


def test_what_became_of_it_is_told_with_a_link(owner: Owner, github: str) -> None:
    failed = factories.inbound(github, status="failed", error="The template cannot be used: line 1.")
    page = owner.page(LIST + failed)
    assert "failed Error The template cannot be used: line 1." in words(page, "state")
    assert f"/admin/sources/{github}/edit" in links(page)
    comment = factories.sign()
    key = factories.inbound(github, status="processed", note="It became a comment.", comment_id=comment)
    page = owner.page(LIST + key)
    assert "processed Action It became a comment." in words(page, "state")
    assert f"/admin/comments/{comment}" in links(page)
    assert f"/admin/sources/{github}" in links(page)


def test_what_was_passed_on_leads_to_its_deliveries(owner: Owner) -> None:
    factories.webhook(events="inbound.received")
    key = factories.inbound(factories.source(action="forward"), payload='{"a":1}')
    factories.inbound(factories.source(action="forward"))
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


def test_when_it_is_worked_through_is_said_in_words(owner: Owner) -> None:
    for values, is_disabled, outlook, live in OUTLOOKS:
        source = factories.source(disabled_at=clock.now() if is_disabled else None)
        due = {"due_at": clock.now() + values["due_at"]} if "due_at" in values else {}
        page = owner.page(LIST + factories.inbound(source, **{**values, **due}))
        [progress] = page.findall(".//div[@id='progress']")
        said = plain(progress)
        assert ("Next" in said) is (outlook != "")
        assert outlook in said
        assert ("data-live" in progress.attrib) is ("Refresh" in said) is live


def test_a_form_and_bytes_are_shown_as_people_read_them(owner: Owner, github: str) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    form = factories.inbound(github, payload="a=x+y&b=", headers=headers)
    assert "a: x y\nb: " in text(owner.page(LIST + form))
    binary = factories.inbound(github, payload="/wAB", encoding="base64")
    assert "0000  ff 00 01" in text(owner.page(LIST + binary))
    assert owner.get(f"{LIST}{binary}/payload").data == b"\xff\x00\x01"
    assert "The body is empty." in text(owner.page(LIST + factories.inbound(github, payload="")))


def test_what_others_send_is_inert(owner: Owner, github: str) -> None:
    foul = dict.fromkeys(("event", "sender", "external_id", "error", "note"), HOSTILE[:90])
    key = factories.inbound(github, headers={HOSTILE: HOSTILE}, payload=HOSTILE, status="failed", **foul)
    for url in (LIST + key, LIST, f"/admin/sources/{github}"):
        said = owner.inert(url)
        assert "{{ 7*7 }}" in said
        assert not {"\u202e", "\x1b"} & {*said}


# --- reprocess


def test_the_overview_counts_what_waits_and_what_failed(owner: Owner) -> None:
    assert len(tiles(owner)) == 3
    github = factories.source(name="GitHub")
    assert tiles(owner)[3] == "0 in the inbox Nothing is waiting or has failed."
    factories.inbound(github)
    assert tiles(owner)[3] == "1 in the inbox Waiting for the next pass."
    factories.inbound(github, status="failed")
    factories.inbound(github, status="failed")
    factories.inbound(github, status="processed")
    assert tiles(owner)[3] == "2 failed in the inbox Fix their source, then reprocess them. 1 more waiting."
    assert "/admin/inbox/?status=failed" in links(owner.page("/admin/"))


def tiles(owner: Owner) -> list[str]:
    [row] = by_class(owner.page("/admin/"), "tiles")
    return [plain(tile) for tile in row.findall("li")]
