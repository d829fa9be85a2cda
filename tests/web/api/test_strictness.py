"""What a call does not know is refused by name; lists come in pages; If-Match reads the ETag of a GET."""

import re
from threading import Thread
from typing import Any

import pytest
from flask import Flask

from guestbook.outbound.event_catalogue import EVENTS
from guestbook.storage import row_changes
from guestbook.web import response_headers
from guestbook.web.api.api_call import PENDING
from guestbook.web.api.openapi import CALLS
from tests.support import factories
from tests.support.api_client import NOBODY, ApiClient, new_token
from tests.support.visitor import add, stored

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


def test_a_call_without_fields_takes_an_empty_body_and_no_other(program: ApiClient) -> None:
    path = f"/inbox/{factories.inbound(factories.source(), status='failed', due_at=None)}/reprocess"
    assert program.ask("POST", path, data=b"{", content_type="application/json").status_code == 400
    assert program.ask("POST", path, data=b"a=b").status_code == 415
    program.post(path, {}, 202)
    assert program.ask("DELETE", f"/webhooks/{NOBODY}", {"force": True}).status_code == 422


def everything(program: ApiClient, path: str, key: str, limit: int) -> list[Any]:
    """Return all rows of a list, read page by page."""
    page = program.get(f"{path}?limit={limit}")
    rows: list[Any] = page[key]
    while page["next"]:
        page = program.get(page["next"])
        assert 0 < len(page[key]) <= limit
        rows += page[key]
    return rows


def test_webhooks_come_in_pages_newest_first(program: ApiClient) -> None:
    made = [factories.webhook(f"https://{number}.example/") for number in range(5)]
    assert [row["id"] for row in everything(program, "/webhooks", "webhooks", 2)] == made[::-1]
    whole = program.get("/webhooks")
    assert (len(whole["webhooks"]), whole["next"]) == (5, None)
    assert program.refused("GET", "/webhooks?limit=101") == {"limit": "This must be at most 100."}


def test_events_come_in_pages_in_the_order_of_the_catalogue(anybody: ApiClient) -> None:
    assert [one["name"] for one in everything(anybody, "/events", "events", 2)] == list(EVENTS)
    assert anybody.get("/events")["next"] is None


def test_every_list_has_a_next_page_or_null() -> None:
    named = {address for address in CALLS if CALLS[address].name.startswith("list")}
    assert named == set(LISTS)


def test_every_get_has_an_etag_and_is_not_sent_twice(program: ApiClient) -> None:
    made = program.post("/bins", {})
    program.client.post(made["url"], data="{}")
    [caught] = program.get(f"/bins/{made['id']}/requests")["requests"]
    rows = {"bin_id": made["id"], "request_id": caught["id"], "event_name": "ping"}
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


@pytest.mark.parametrize(
    ("path", "queries"),
    [
        (
            "/comments",
            f"limit=0 limit=101 limit={'9' * 5000} limit=%D9%A1 limit=1e1 limit= limit=1&limit=1 before=x "
            f"before={NOBODY}%0A after=%00 status=new page=2",
        ),
        (
            "/deliveries",
            "status=sent webhook=1 event=comment.* since=yesterday since=2026-01-31 "
            "since=2026-02-30T00:00:00Z "
            "since=2026-01-31T00:00:00 until=2026-01-31T25:00:00Z until=%D9%A2026-01-31T00:00:00Z limit=1000 "
            f"before=%00 comment=x text= text={'x' * 201}",
        ),
        ("/inbox", "status=sent source=1 limit=1000 before=%00 text="),
        ("/audit", "action=x actor=x since=x limit=0 status=new"),
        ("/events", "before=x limit=0"),
    ],
)
def test_a_query_that_is_wrong_is_refused_by_name(program: ApiClient, path: str, queries: str) -> None:
    for query in queries.split():
        assert list(program.refused("GET", f"{path}?{query}")) == [query.partition("=")[0]], query


@pytest.mark.parametrize("row_id", [NOBODY, "x", "%00", f"{NOBODY}%0A", f"{NOBODY.upper()}A"])
def test_an_id_of_nobody_is_not_found(program: ApiClient, row_id: str) -> None:
    for address, one in CALLS.items():
        if "_id}" in address and not (one.body and one.needs_body):
            answer = program.ask(*call(address, row_id))
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found"), address


CHANGES = {"PATCH": {"message": "Goodbye"}, "DELETE": None}
DONE = {"PATCH": 200, "DELETE": 204}
each_method = pytest.mark.parametrize("method", CHANGES)


def etag(program: ApiClient, url: str) -> str:
    return str(program.ask("GET", url).headers["ETag"])


@each_method
def test_a_comment_that_changed_since_it_was_read_stays(program: ApiClient, method: str) -> None:
    [row_id] = add(["Hello"])
    url = f"/comments/{row_id}"
    read = etag(program, url)
    program.patch(url, {"reply": "Welcome!"})
    answer = program.ask(method, url, CHANGES[method], headers={"If-Match": read})
    assert (answer.status_code, answer.get_json()["error"]["code"]) == (412, "precondition_failed")
    assert "Nothing was changed." in answer.get_json()["error"]["message"]
    assert [row.message for row in stored()] == ["Hello"]


@each_method
@pytest.mark.parametrize("given", ["{}", '"x", {}', "W/{}", "*", ""])
def test_one_that_did_not_is_changed(program: ApiClient, method: str, given: str) -> None:
    [row_id] = add(["Hello"])
    url = f"/comments/{row_id}"
    headers = {"If-Match": given.format(etag(program, url))}
    assert program.ask(method, url, CHANGES[method], headers=headers).status_code == DONE[method]


@each_method
@pytest.mark.parametrize("given", ['"x"', "x", 'W/""', "\ufffd" * 2000, ", " * 2000 + '"x'])
def test_an_etag_that_none_ever_had_fits_nothing(program: ApiClient, method: str, given: str) -> None:
    [row_id] = add(["Hello"])
    headers = {"If-Match": given}
    assert program.ask(method, f"/comments/{row_id}", CHANGES[method], headers=headers).status_code == 412


@each_method
def test_what_is_not_there_is_404_whatever_it_should_match(program: ApiClient, method: str) -> None:
    answer = program.ask(method, f"/comments/{'0' * 32}", CHANGES[method], headers={"If-Match": "*"})
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["/webhooks", "/sources", "/bins", "/settings"])
def test_what_changed_since_it_was_read_stays(program: ApiClient, path: str) -> None:
    name = "title" if path == "/settings" else "name"
    new = {"url": "https://receiver.example/", "name": "x", "verify": "none"}
    if path != "/settings":
        given = {"/webhooks": ("url",), "/sources": ("name", "verify")}.get(path, ("name",))
        path = f"{path}/{program.post(path, {one: new[one] for one in given})['id']}"
    read = {"If-Match": etag(program, path)}
    assert program.ask("PATCH", path, {name: "First"}, headers=read).status_code == 200
    assert program.ask("PATCH", path, {name: "Second"}, headers=read).status_code == 412
    if path != "/settings":
        assert program.ask("DELETE", path, headers=read).status_code == 412
    assert program.get(path)[name] == "First"


@pytest.fixture(params=["webhooks", "sources"])
def path(each_app: Flask, request: pytest.FixtureRequest) -> str:  # noqa: ARG001  the factories fill it
    """Return the path of a webhook or source with five deliveries or events."""
    is_webhook = request.param == "webhooks"
    row_id = factories.webhook() if is_webhook else factories.source()
    for _ in range(5):
        (factories.delivery if is_webhook else factories.inbound)(row_id)
    return f"/{request.param}/{row_id}"


def count_rows() -> int:
    """Return how many deliveries and inbound events there are."""
    return len(factories.deliveries()) + len(factories.inbound_events())


@pytest.mark.parametrize("batch_size", [2, 500])
def test_a_webhook_or_source_goes_with_all_its_rows_or_stays_with_all(
    each_app: Flask, path: str, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_changes, "BATCH_SIZE", batch_size)
    program = ApiClient(each_app, new_token())
    assert program.ask("DELETE", path, headers={"If-Match": '"x"'}).status_code == 412
    assert count_rows() == 5
    assert program.ask("DELETE", path, headers={"If-Match": etag(program, path)}).status_code == 204
    assert count_rows() == 0
    program.get(path, 404)


def test_nothing_comes_between_look_and_end(
    each_app: Flask, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = new_token()
    program, other = ApiClient(each_app, token), ApiClient(each_app, token)
    read = {"If-Match": etag(program, path)}
    refuse, changed = response_headers.refuse_if_changed, []
    change = Thread(target=lambda: changed.append(other.ask("PATCH", path, {"name": "Other"}).status_code))

    def refuse_then_change(document: dict[str, object]) -> None:
        refuse(document)
        if change.ident is None:  # in the DELETE, not in the PATCH
            change.start()
            change.join(1)  # it waits for the lock

    monkeypatch.setattr(response_headers, "refuse_if_changed", refuse_then_change)
    assert program.ask("DELETE", path, headers=read).status_code == 204
    change.join()
    assert changed == [404]
