"""Webhooks and their form, as the tests of the admin fill it in and read it."""

from typing import Any
from xml.etree.ElementTree import Element

from guestbook.storage.models import Webhook
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import attributes, text

PLACE = "/admin/webhooks/"
URL = "https://receiver.example/hook"


def form(owner: Owner, **typed: Any) -> dict[str, Any]:
    """What the form for another one sends when only the URL was typed, and what else is given."""
    page = owner.page(PLACE + "new")
    key = page.find(".//input[@name='key']")
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
    return attributes(page, f".//input[@name='{name}']")["value"]


def part(page: Element, name: str) -> str:
    """The text of the element with that id."""
    return " ".join(text(page.find(f".//*[@id='{name}']")).split())


def stored(webhook_id: str) -> Webhook:
    return factories.the(Webhook, webhook_id)
