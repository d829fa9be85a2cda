"""Bins in the admin pages: the form, the list, the requests and how they are shown."""

import re
from typing import Any

from guestbook.inbound import request_bins
from guestbook.inbound.request_bins import CapturedRequest
from guestbook.lib import clock
from guestbook.storage.models import Bin, BinRequest
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import attributes, by_class, fields, plain, text

PLACE = "/admin/bins/"
HOSTILE = "</pre><script>alert(1)</script>\u202e{{ 7*7 }}"


def form(owner: Owner, **typed: Any) -> dict[str, Any]:
    sent = fields(owner.page(PLACE + "new"))
    return {**sent, "type": "text/plain", **typed}


def added(owner: Owner, **typed: Any) -> str:
    answer = owner.post(PLACE, form(owner, **typed))
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"].rpartition("/")[2])


def send(bin_id: str, body: bytes = b"{}", **changes: Any) -> str:
    values = {"method": "POST", "path": "", "query": "", "headers": [], "received_at": clock.now(), **changes}
    captured = CapturedRequest(body=body, **values)
    assert factories.written(lambda session: request_bins.capture(session, bin_id, captured))
    return factories.rows(BinRequest)[-1].id


def request_text(owner: Owner, request_id: str) -> str:
    return plain(owner.page(f"{PLACE}requests/{request_id}").find(".//main"))


def test_the_first_bin_is_explained_and_then_there_is_a_list(owner: Owner) -> None:
    assert "See what a webhook sends" in owner.get(PLACE).text
    bin_id = added(owner, name="Mine", fail="2")
    send(bin_id)
    page = plain(owner.page(PLACE).find(".//main"))
    assert "Mine" in page
    assert f"https://book.example/bin/{factories.the(Bin, bin_id).token}" in page
    assert "200, after 1 × 500" in page
    assert "just now" in page


def test_the_form_sets_everything_and_shows_it_again(owner: Owner) -> None:
    typed = {"status": "418", "body": "a\r\n<b>", "type": "application/json", "delay": "1.5", "fail": "3"}
    bin_id = added(owner, name="Mine", **typed)
    row = factories.the(Bin, bin_id)
    assert (row.name, row.answer_status, row.answer_body) == ("Mine", 418, "a\n<b>")
    assert (row.answer_type, row.delay_milliseconds) == ("application/json; charset=utf-8", 1500)
    assert row.failures_left == 3
    shown = fields(owner.page(f"{PLACE}{bin_id}/edit"))
    assert (shown["name"], shown["status"], shown["delay"], shown["fail"]) == ("Mine", "418", "1.5", "3")
    assert shown["body"].strip() == "a\n<b>"
    owner.does(PLACE + bin_id, {**shown, "type": "text/plain", "fail": "0"})
    assert (factories.the(Bin, bin_id).failures_left, factories.the(Bin, bin_id).answer_type[:10]) == (
        0,
        "text/plain",
    )


def test_bins_without_a_name_get_one_each_and_keep_it(owner: Owner) -> None:
    ids = [added(owner), added(owner)]
    assert [factories.the(Bin, one).name for one in ids] == ["bin", "bin 2"]
    owner.does(PLACE + ids[1], form(owner, name=""))
    assert factories.the(Bin, ids[1]).name == "bin 2"


def test_what_is_wrong_is_said_and_what_was_typed_stays(owner: Owner) -> None:
    wrong = {"status": "99", "delay": "6", "fail": "x", "type": "text/html", "body": "x" * 4001}
    for field, typed in (wrong | {"name": "x" * 81}).items():
        answer = owner.post(PLACE, form(owner, name="Mine") | {field: typed})
        assert (answer.status_code, "Nothing was changed" in answer.text) == (422, True)
        assert typed in answer.text or field == "type"
    assert "See what a webhook sends" in owner.get(PLACE).text
    assert owner.post(PLACE + added(owner), form(owner) | {"status": "99"}).status_code == 422


def test_a_form_that_is_sent_twice_adds_one(owner: Owner) -> None:
    sent = form(owner)
    first, second = owner.post(PLACE, sent), owner.post(PLACE, sent)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(factories.rows(Bin)) == 1


def test_the_page_lists_the_newest_first_and_leads_to_older_ones(owner: Owner) -> None:
    bin_id = added(owner)
    empty = owner.get(PLACE + bin_id).text
    assert "No requests yet." in empty
    assert f'<a href="{PLACE}{bin_id}">Refresh</a>' in empty
    for number in range(53):
        send(bin_id, path=f"/n{number}")
    page = owner.page(PLACE + bin_id)
    rows = re.findall(r"/n\d+", text(page.find(".//tbody")))
    assert rows == [f"/n{number}" for number in range(52, 2, -1)]
    assert attributes(page, ".//*[@id='bin-requests']")["data-live"] == "400"
    [older] = [link for link in page.iter("a") if link.attrib.get("class") == "older"]
    page = owner.page(older.attrib["href"])
    assert re.findall(r"/n\d+", text(page.find(".//tbody"))) == ["/n2", "/n1", "/n0"]
    assert "data-live" not in attributes(page, ".//*[@id='bin-requests']")
    assert owner.get(f"{PLACE}{bin_id}?before=x").status_code == 404


def test_the_list_shows_where_a_body_begins(owner: Owner) -> None:
    bin_id = added(owner)
    for body in (b"a\n  b" + b"c" * 999, b"\0", b""):
        send(bin_id, body)
    cells = [text(cell) for cell in owner.page(PLACE + bin_id).iter("td") if cell.get("data-label") == "Body"]
    assert cells == ["none", "binary", "a b" + "c" * 117]


def test_everything_of_a_request_is_shown_as_text(owner: Owner) -> None:
    bin_id = added(owner, name=HOSTILE[:40])
    headers = [("X-Evil", HOSTILE.encode().decode("latin-1")), ("Content-Type", "text/html")]
    body = HOSTILE.encode()
    request_id = send(bin_id, body, headers=headers, path="/<img>", query="<b>", method="<I>")
    for address in (PLACE, PLACE + bin_id, f"{PLACE}requests/{request_id}", f"{PLACE}{bin_id}/delete"):
        assert "\u202e" not in owner.inert(address)
    said = request_text(owner, request_id)
    assert "</pre><script>alert(1)</script>\\u{202e}{{ 7*7 }}" in said
    assert "/<img>" in said


def test_a_body_that_was_cut_says_so(owner: Owner) -> None:
    request_id = send(added(owner), b"x" * 300_000)
    said = request_text(owner, request_id)
    assert "The body was cut at 256 kB: the first 262,144 of its 300,000 bytes are kept." in said
    assert "Only the beginning is shown." in said
    assert "its signature cannot be checked" in said or "not signed" in said


def test_the_exact_bytes_are_saved_and_never_opened(owner: Owner) -> None:
    body = b"<script>alert(1)</script>\0\xff\r\n"
    request_id = send(added(owner), body, headers=[("Content-Type", "text/html")])
    answer = owner.get(f"{PLACE}requests/{request_id}/body")
    assert answer.data == body
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f"attachment; filename={request_id}.bin"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_bin_is_cleared_and_deleted_after_a_question(owner: Owner) -> None:
    bin_id, other = added(owner, name="Mine"), added(owner)
    send(bin_id)
    assert "Its request is deleted for good." in owner.get(f"{PLACE}{bin_id}/clear").text
    page = owner.does(f"{PLACE}{bin_id}/clear")
    assert text(by_class(page, "success")[0]) == "1 request deleted."
    assert len(factories.rows(BinRequest)) == 0
    for _ in range(2):
        send(bin_id)
    url = factories.the(Bin, bin_id).url("")
    assert "Its 2 requests are deleted for good." in owner.get(f"{PLACE}{bin_id}/delete").text
    page = owner.does(f"{PLACE}{bin_id}/delete")
    assert text(by_class(page, "success")[0]) == "“Mine” is deleted."
    assert owner.get(url).status_code == 404
    assert factories.the(Bin, other).id == other
    assert owner.post(f"{PLACE}{bin_id}/delete").status_code == 404
