"""The owner's links for a receiver: made with the password, shown once, listed and revoked."""

import re
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from guestbook.outbound import receiver_links
from guestbook.storage.models import ReceiverLink
from tests.support import factories
from tests.support.owner import PASSWORD, Owner
from tests.support.receiver_person import BASE, add_link
from tests.support.visitor import Visitor, attributes, hrefs, parse, text

ADDRESS = re.compile(rf"{BASE}(/receiver/[0-9a-f]{{76}})")


@pytest.fixture
def place(hook: str) -> str:
    return f"/admin/webhooks/{hook}/receiver-links"


def stored(hook: str) -> list[ReceiverLink]:
    return factories.read(lambda session: receiver_links.of_webhook(session, hook))


def form(owner: Owner, place: str, **typed: str) -> dict[str, object]:
    new = attributes(owner.page(place), ".//form//input[@name='id']")["value"]
    return {"id": new, "name": "Ada", "expires": "7d", "password": PASSWORD, **typed}


def test_a_link_needs_the_password_and_is_shown_once(app: Flask, owner: Owner, hook: str, place: str) -> None:
    links = hrefs(owner.page(f"/admin/webhooks/{hook}"))
    assert place in links
    sent = form(owner, place)
    answer = owner.post(place, sent)
    assert answer.status_code == 200
    [path] = ADDRESS.findall(text(parse(answer)))
    assert Visitor(app).get(path).status_code == 303
    again = owner.does(place, sent)  # a reload of the answer
    assert "shown only once" in text(again)
    assert not ADDRESS.search(text(again))
    assert [link.name for link in stored(hook)] == ["Ada"]


def test_a_wrong_link(owner: Owner, hook: str, place: str) -> None:
    for field, wrong in (
        *(("password", "wrong"), ("password", ""), ("expires", "9d"), ("expires", "")),
        *(("name", " "), ("name", "x" * 81)),
    ):
        page = owner.refused(place, form(owner, place, **{field: wrong}))
        assert text(page.find(f".//p[@id='{field}-reason']"))
    assert stored(hook) == []


def test_a_webhook_without_a_receiver_gets_none(owner: Owner) -> None:
    mail = factories.webhook("mailto:ada@example.org", format="email")
    place = f"/admin/webhooks/{mail}/receiver-links"
    answer = owner.post(place, form(owner, place))
    assert answer.status_code == 422
    assert "An e-mail is not signed" in answer.text


def test_a_link_is_revoked_on_its_page_alone(app: Flask, owner: Owner, hook: str, place: str) -> None:
    link_id, address = add_link(hook)
    other = factories.webhook(name="Other")
    assert owner.post(f"/admin/webhooks/{other}/receiver-links/{link_id}/revoke").status_code == 404
    assert cell(owner.page(place), "Last used") == "never"
    person = Visitor(app)
    person.page(person.get(address.removeprefix(BASE)).headers["Location"])
    assert re.fullmatch(r"just now|\d+ seconds? ago", cell(owner.page(place), "Last used"))
    page = owner.does(f"{place}/{link_id}/revoke")
    assert "The link for Ada is revoked." in text(page)
    assert "revoked" in text(page.find(".//tbody/tr"))
    assert page.find(".//tbody//button") is None
    assert Visitor(app).get(address.removeprefix(BASE)).status_code == 410
    log = text(owner.page("/admin/audit/"))
    assert "added: receiver link Ada" in log
    assert "revoked: receiver link Ada" in log


def cell(page: Element, label: str) -> str:
    return text(page.find(f".//td[@data-label='{label}']"))
