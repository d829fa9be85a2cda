"""The page of the events: every event with its fields and an example, and links to it."""

import json
from xml.etree.ElementTree import Element

from guestbook.lib import json_schema
from guestbook.outbound.event_catalogue import EVENTS
from tests.support.owner import Owner
from tests.support.visitor import hrefs, text

EVENTS_PAGE = "/admin/events/"


def test_it_shows_each_event_with_when_it_is_sent_and_an_example(owner: Owner) -> None:
    page = owner.page(EVENTS_PAGE)
    headings = [text(one) for one in page.findall(".//h2")]
    assert headings == ["Every event", "Events about a comment", *EVENTS]
    sections = page.findall(".//section")[2:]
    for event, section in zip(EVENTS.values(), sections, strict=True):
        assert f"Sent when {event.when}. Since version {event.since}." in text(section)
        example = section.find(".//pre")
        assert json.loads(str(example.text)) == event.example()


def test_each_field_of_an_event_is_said_once(owner: Owner) -> None:
    every, about, *sections = [rows(one) for one in owner.page(EVENTS_PAGE).findall(".//section")]
    assert all(row[2] != "–" for row in [*every, *about])
    for event, own in zip(EVENTS.values(), sections, strict=True):
        shown = every + own + (about if "comment" in event.data else [])
        fields = list(json_schema.fields(event.schema()))
        assert {row[0] for row in shown} == {field.path for field in fields}
        last = {row[0]: row for row in [*every, *about, *own]}  # its own row says what differs
        assert all(last[one.path][2] == one.schema["description"] for one in fields)
        assert all(last[one.path][1].endswith(", may be missing") != one.is_required for one in fields)
    again = [row[0] for own in sections for row in own if row[0].startswith("data.comment.")]
    assert again == []


def rows(section: Element) -> list[list[str]]:
    return [[text(cell).strip() for cell in row] for row in section.findall(".//tbody/tr")]


def test_pages_of_webhooks_lead_to_it_and_it_to_the_schemas_for_programs(owner: Owner) -> None:
    for address in ("/admin/webhooks/", "/admin/webhooks/new"):
        assert EVENTS_PAGE in hrefs(owner.page(address)), address
    assert "/api/v1/events" in hrefs(owner.page(EVENTS_PAGE))
