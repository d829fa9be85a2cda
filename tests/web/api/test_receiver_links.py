"""/webhooks/ID/receiver-links: a program lists the links for a receiver, and revokes them."""

from flask import Flask

from tests.support import factories
from tests.support.api_client import ApiClient
from tests.support.receiver_person import BASE, add_link
from tests.support.visitor import Visitor


def test_the_links_are_listed_without_their_addresses_and_revoked(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        webhook_id, other = factories.webhook(name="Shop"), factories.webhook(name="Other")
        link_id, address = add_link(webhook_id)
        newer, _ = add_link(webhook_id)
        add_link(other)
    place = f"/webhooks/{webhook_id}/receiver-links"
    first = program.get(f"{place}?limit=1")
    assert [one["id"] for one in first["receiver_links"]] == [newer]
    [link] = program.get(first["next"])["receiver_links"]
    assert (link["id"], link["name"], link["state"], link["webhook_id"]) == (
        link_id, "Ada", "works", webhook_id,
    )  # fmt: skip
    assert link["last_used_at"] is None
    assert not [value for value in link.values() if value and address.endswith(value)]
    program.post(f"/webhooks/{other}/receiver-links/{link_id}/revoke", status=404)
    assert Visitor(app).get(address.removeprefix(BASE)).status_code == 303
    assert program.post(f"{place}/{link_id}/revoke", status=200)["state"] == "revoked"
    assert Visitor(app).get(address.removeprefix(BASE)).status_code == 410
