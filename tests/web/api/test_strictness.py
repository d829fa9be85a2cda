"""What a call does not know is refused by name; each list comes in pages, each GET has an ETag."""

import re
from typing import Any

from flask import Flask

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.web.api.api_call import PENDING
from guestbook.web.api.document import CALLS
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient

LISTS = [address for address, call in CALLS.items() if "limit" in call.query]
LISTS.remove(PENDING)


def call(address: str, row_id: str = NOBODY) -> tuple[str, str]:
    """Return the method and a path of a call."""
    method, path = address.split()
    return method, re.sub("{[a-z_]+}", row_id, path.replace("{event_name}", "ping"))


def test_every_call_refuses_unknown_query_parameters_by_name(program: ApiClient) -> None:
    for address in CALLS:
        method, path = call(address)
        fields = program.refused(method, f"{path}?limits=5&statuz=x")
        assert set(fields) == {"limits", "statuz"}, address
        assert all(sentence.startswith("There is no such field. ") for sentence in fields.values())


def test_every_call_refuses_unknown_fields_of_its_body_by_name(program: ApiClient) -> None:
    for address in CALLS:
        if not address.startswith("GET "):
            fields = program.refused(*call(address), {"colour": "red"})
            assert fields["colour"].startswith("There is no such field. "), address


def test_a_call_without_fields_takes_an_empty_body_and_no_other(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        path = f"/inbox/{factories.inbound(factories.source(), status='failed', due_at=None)}/reprocess"
    assert program.ask("POST", path, data=b"{", content_type="application/json").status_code == 400
    assert program.ask("POST", path, data=b"a=b").status_code == 415
    program.post(path, {}, 202)
    assert program.ask("DELETE", f"/webhooks/{NOBODY}", {"force": True}).status_code == 422


def everything(program: ApiClient, path: str, key: str, limit: int) -> list[Any]:
    """Return all rows of a list, read page by page."""
    page = program.get(f"{path}?limit={limit}")
    rows = page[key]
    while page["next"]:
        page = program.get(page["next"])
        assert 0 < len(page[key]) <= limit
        rows += page[key]
    return rows


def test_webhooks_come_in_pages_newest_first(app: Flask, program: ApiClient) -> None:
    with app.app_context():
        made = [factories.webhook(f"https://{number}.example/") for number in range(5)]
    assert [row["id"] for row in everything(program, "/webhooks", "webhooks", 2)] == made[::-1]
    whole = program.get("/webhooks")
    assert (len(whole["webhooks"]), whole["next"]) == (5, None)
    assert program.refused("GET", "/webhooks?limit=101") == {"limit": "This must be at most 100."}


def test_without_a_limit_a_page_has_a_hundred_webhooks_and_says_that_there_are_more(
    app: Flask, program: ApiClient
) -> None:
    with app.app_context():
        for number in range(101):
            factories.webhook(f"https://{number}.example/")
    page = program.get("/webhooks")
    assert len(page["webhooks"]) == 100
    assert len(program.get(page["next"])["webhooks"]) == 1


def test_events_come_in_pages_in_the_order_of_the_catalogue(anybody: ApiClient) -> None:
    assert [one["name"] for one in everything(anybody, "/events", "events", 2)] == list(EVENTS)
    assert anybody.get("/events")["next"] is None


def test_every_list_has_a_next_page_or_null() -> None:
    named = {address for address in CALLS if CALLS[address].name.startswith("list")}
    assert named == set(LISTS)


def test_every_get_has_an_etag_and_is_not_sent_twice(app: Flask, program: ApiClient) -> None:
    made = program.post("/bins", {})
    program.client.post(made["url"], data="{}")
    [caught] = program.get(f"/bins/{made['id']}/requests")["requests"]
    rows = {"bin_id": made["id"], "request_id": caught["id"], "event_name": "ping"}
    with app.app_context():
        rows |= {"webhook_id": factories.webhook(), "source_id": factories.source()}
        rows |= {"comment_id": factories.sign(), "event_id": factories.inbound(rows["source_id"])}
        rows |= {"delivery_id": factories.delivery(rows["webhook_id"])}
    for address in CALLS:
        method, path = address.split()
        if method != "GET" or address in (PENDING, "GET /doctor"):
            continue  # the one is different each time, and the other takes long
        first = program.ask("GET", path.format(**rows))
        assert first.status_code == 200, address
        assert first.headers["ETag"], address
        if "statistics" in address:
            continue  # they say how many seconds ago something was
        again = program.ask("GET", path.format(**rows), headers={"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.data) == (304, b""), address
