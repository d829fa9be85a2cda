"""The page of the events: every event with its fields and an example, and links to it."""

import json

from guestbook.lib import json_schema
from guestbook.outbound.event_catalogue import EVENTS
from tests.support.owner import Owner
from tests.support.visitor import text

EVENTS_PAGE = "/admin/events/"


def test_it_shows_each_event_with_when_it_is_sent_and_an_example(owner: Owner) -> None:
    page = owner.page(EVENTS_PAGE)
    assert [text(one) for one in page.findall(".//h2")] == list(EVENTS)
    sections = page.findall(".//section")
    for event, section in zip(EVENTS.values(), sections, strict=True):
        assert f"Sent when {event.when}. Since version {event.since}." in text(section)
        example = section.find(".//pre")
        assert example is not None
        assert json.loads(str(example.text)) == event.example()


def test_a_table_has_each_field_with_its_type_and_meaning(owner: Owner) -> None:
    page = owner.page(EVENTS_PAGE)
    for event, table in zip(EVENTS.values(), page.findall(".//table"), strict=True):
        rows = [[text(cell).strip() for cell in row] for row in table.findall(".//tbody/tr")]
        fields = list(json_schema.fields(event.schema()))
        assert [row[0] for row in rows] == [field.path for field in fields]
        assert [row[2] for row in rows] == [field.schema["description"] for field in fields]
        assert [row[1].endswith(", may be missing") for row in rows] == [
            not one.is_required for one in fields
        ]


def test_pages_of_webhooks_lead_to_it(owner: Owner) -> None:
    for address in ("/admin/webhooks/", "/admin/webhooks/new"):
        links = [link.get("href") for link in owner.page(address).findall(".//a")]
        assert EVENTS_PAGE in links, address


def test_it_leads_to_the_schemas_for_programs(owner: Owner) -> None:
    assert "/api/v1/events" in [link.get("href") for link in owner.page(EVENTS_PAGE).findall(".//a")]
