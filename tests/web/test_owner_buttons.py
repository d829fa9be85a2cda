"""The owner's buttons in the book: for the owner alone, kept by nobody, in no frame."""

from pathlib import Path
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

import pytest
from flask import Flask

from tests.conftest import running
from tests.support.owner import Owner
from tests.support.visitor import Visitor, add, by_class, hrefs, parse, set_, stored, text

COOKIE = "guestbook_admin"
PAGES = ("/", "/?before={}", "/comments/{}")


def buttons(page: Element) -> list[Element]:
    return by_class(page, "owner")


def address_of(page: Element, action: str) -> str:
    """Where the newest comment's button leads."""
    [button] = [one for one in buttons(page)[0].iter("button") if text(one) == action]
    return button.attrib["formaction"]


def back_of(page: Element, form: int = 1) -> str:
    """What the form of the newest comment says of its place: the one of the reply is the first."""
    found = buttons(page)[0].findall(".//form")[form].find("input[@name='back']")
    assert found is not None
    return found.attrib["value"]


def press(owner: Owner, at: str, action: str) -> str:
    """Press a button of the newest comment there; return where it leads."""
    page = owner.page(at)
    sent = {one.attrib["name"]: one.attrib["value"] for one in buttons(page)[0].findall("form/input")}
    answer = owner.open("POST", address_of(page, action), data=sent)
    assert answer.status_code == 303
    return answer.headers["Location"]


@pytest.mark.parametrize("at", PAGES)
def test_the_owner_alone_has_buttons(each_app: Flask, at: str) -> None:
    owner, visitor = Owner(each_app).be_logged_in(), Visitor(each_app)
    ids = add(["One", "Two"])
    at = at.format(ids[1])
    assert len(buttons(owner.page(at))) == (2 if at == "/" else 1)
    assert not [word for word in ("owner.css", "csrf_token", "/admin") if word in visitor.get(at).text]


@pytest.mark.parametrize("at", PAGES)
def test_a_visitor_s_page_is_the_same_with_and_without_a_login_that_is_over(app: Flask, at: str) -> None:
    owner, visitor = Owner(app).be_logged_in(), Visitor(app)
    at = at.format(add(["One", "Two"])[1])
    set_(closed="yes")  # The form has a new token each time.
    before = visitor.get(at)
    owner.get(at)
    cookie = owner.client.get_cookie(COOKIE, path="/")
    assert cookie
    owner.post("/admin/logout")
    for value in (cookie.value, "forged"):
        visitor.client.set_cookie(COOKIE, value)
        after = visitor.get(at)
        assert after.data == before.data
        assert after.headers["ETag"] == before.headers["ETag"]
        assert "Set-Cookie" not in after.headers


@pytest.mark.parametrize("at", PAGES)
def test_nobody_keeps_the_owner_s_page_and_a_304_stands_for_the_visitors_alone(app: Flask, at: str) -> None:
    owner, visitor = Owner(app).be_logged_in(), Visitor(app)
    at = at.format(add(["One", "Two"])[1])
    tag = visitor.get(at).headers["ETag"]
    known = {"If-None-Match": tag}
    for _ in range(2):
        theirs = owner.get(at, headers=known)
        assert theirs.status_code == 200
        assert buttons(parse(theirs))
        assert theirs.headers["Cache-Control"] == "private, no-store"
        assert "ETag" not in theirs.headers
        assert "Cookie" in theirs.headers["Vary"]
        assert visitor.get(at, headers=known).status_code == 304
        assert buttons(visitor.page(at)) == []


def test_a_file_has_no_buttons(environ: dict[str, str], tmp_path: Path) -> None:
    with running({**environ, "GUESTBOOK_PUBLIC_FOLDER": str(tmp_path / "pages")}) as app:
        owner = Owner(app).be_logged_in()
        add(["One", "Two"])
        press(owner, "/", "Hide")
        owner.get("/admin/")
        pages = list((tmp_path / "pages").rglob("*.html"))
        assert pages
        assert not [page for page in pages if "formaction" in page.read_text()]


def test_no_frame_has_them(owner: Owner) -> None:
    [comment_id] = add(["One"])
    set_(embed_sites="https://site.example")
    assert buttons(owner.page("/embed")) == []
    assert buttons(owner.page(f"/comments/{comment_id}"))
    policy = owner.get("/").headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(("action", "status"), [("Hide", "held"), ("Spam", "spam")])
@pytest.mark.parametrize("at", ["/", "/?before={}"])
def test_a_button_leads_back_to_its_place_and_can_be_undone(
    owner: Owner, action: str, status: str, at: str
) -> None:
    ids = add(["One", "Two", "Three"])
    at = at.format(ids[2])
    newest = ids[2] if at == "/" else ids[1]
    there = press(owner, at, action)
    assert [one.status for one in stored() if one.id == newest] == [status]
    assert there == f"{at}#at-{ids[ids.index(newest) - 1]}"
    page = owner.page(there.partition("#")[0])
    assert "Ada" in text(by_class(page, "notice")[0])
    assert urlsplit(there).fragment in {one.attrib.get("id") for one in page.iter("li")}
    [undo] = [one for one in page.iter("form") if one.get("action") == "/admin/undo/"]
    sent = {one.attrib["name"]: one.attrib["value"] for one in undo.iter("input")}
    answer = owner.open("POST", "/admin/undo/", data=sent)
    assert answer.headers["Location"] == f"{at}#c-{newest}"
    assert {one.status for one in stored()} == {"published"}
    assert "Undone" in text(by_class(owner.page(at), "notice")[0])


def test_a_comment_that_is_gone_leads_to_the_front_page(owner: Owner) -> None:
    [comment_id] = add(["One"])
    assert press(owner, f"/comments/{comment_id}", "Spam").startswith("/#")
    assert by_class(owner.page("/"), "notice"), "also where nothing is left to see"


def test_a_reply_and_a_correction_lead_back_too(owner: Owner) -> None:
    [comment_id] = add(["One"])
    page = owner.page("/")
    back = back_of(page, 0)
    answer = owner.post(f"/admin/comments/{comment_id}/reply", {"reply": "Thanks", "back": back})
    assert answer.headers["Location"] == back == f"/#c-{comment_id}"
    assert "Thanks" in owner.get("/").text
    [edit] = [one for one in hrefs(buttons(page)[0]) if one.endswith("#edit")]
    form = owner.page(edit).find(".//section[@id='edit']/form")
    assert form is not None
    sent = {one.attrib["name"]: one.attrib["value"] for one in form.iter("input")}
    answer = owner.open("POST", form.attrib["action"], data=sent | {"message": "Corrected"})
    assert answer.headers["Location"] == back
    assert [one.message for one in stored()] == ["Corrected"]


def test_a_refused_correction_keeps_its_way_back(owner: Owner) -> None:
    [comment_id] = add(["One"])
    sent = {"name": "", "message": "Corrected", "website": "", "back": "/#c-1"}
    page = owner.refused(f"/admin/comments/{comment_id}", sent)
    assert {one.attrib["value"] for one in page.findall(".//input[@name='back']")} == {"/#c-1"}


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example", "/admin/", "/\\evil", "/?a b", "/?\r\nX: y"]
)
def test_a_way_back_leads_into_the_book_alone(owner: Owner, back: str) -> None:
    [comment_id] = add(["One"])
    answer = owner.post(f"/admin/comments/{comment_id}/hold", {"back": back})
    assert answer.headers["Location"] == f"/admin/comments/{comment_id}"


def test_a_comment_that_has_changed_is_shown_first(owner: Owner) -> None:
    [comment_id] = add(["One"])
    page = owner.page("/")
    owner.post(f"/admin/comments/{comment_id}", {"name": "Ada", "message": "Other words"})
    sent = {one.attrib["name"]: one.attrib["value"] for one in buttons(page)[0].findall("form/input")}
    answer = owner.open("POST", address_of(page, "Spam"), data=sent)
    assert (answer.status_code, stored()[0].status) == (409, "published")


def test_without_the_key_a_button_does_nothing(owner: Owner) -> None:
    add(["One"])
    answer = owner.open("POST", address_of(owner.page("/"), "Spam"), data={"csrf_token": "other"})
    assert (answer.status_code, stored()[0].status) == (400, "published")


def test_a_book_below_a_path_keeps_to_it(owner: Owner) -> None:
    [comment_id] = add(["One"])
    answer = owner.post(
        f"/admin/comments/{comment_id}/hold", {"back": "/#at-1"}, base_url="https://localhost/guests/"
    )
    assert answer.headers["Location"] == "/guests/#at-1"


def test_a_login_of_an_older_version_is_replaced(owner: Owner) -> None:
    [comment_id] = add(["One"])
    cookie = owner.client.get_cookie(COOKIE, path="/")
    assert cookie
    owner.client.delete_cookie(COOKIE, path="/")
    owner.client.set_cookie(COOKIE, cookie.value, path="/admin")
    assert buttons(owner.page("/")) == []
    owner.post(f"/admin/comments/{comment_id}/reply", {"reply": "Thanks"})
    assert owner.client.get_cookie(COOKIE, path="/admin") is None
    assert buttons(owner.page("/"))
