"""The comments in the admin pages: what is listed and found, and what is done with many of them."""

from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import Element

import pytest

from guestbook.comments import comment_actions
from guestbook.queries import filtered_lists
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import add, by_class, fields, parse, stored, text
from tests.web.test_hostile import HOSTILE

COMMENTS = "/admin/comments/"
ALL = "comment.created comment.published comment.deleted comment.replied"
NOBODY = "0" * 32


def listen() -> None:
    """Add a webhook that wants to know everything from now on."""
    factories.webhook(events=ALL, name="Slack")


def events() -> list[str]:
    return [row.event for row in factories.deliveries()]


def status(comment_id: str) -> str:
    return next(row.status for row in stored() if row.id == comment_id)


def letters(page: Element) -> list[str]:
    return [text(by_class(letter, "comment-text")[0]) for letter in by_class(page, "comment-row")]


def notice(page: Element) -> str:
    return text(by_class(page, "notice")[0])


# --- the list


def test_the_first_tab_is_what_waits_and_else_what_is_published(owner: Owner) -> None:
    add(["In the book"])
    assert letters(owner.page(COMMENTS)) == ["In the book"]
    add(["Waits"], status="held", reason="It holds 9 links.")
    page = owner.page(COMMENTS)
    assert letters(page) == ["Waits"]
    assert text(by_class(page, "hold-reason")[0]) == "It holds 9 links."


def test_each_tab_has_its_own_comments_and_says_how_many(owner: Owner) -> None:
    for number, name in enumerate(("published", "held", "spam", "trash"), 1):
        add([f"{name} {one}" for one in range(number)], status=name)
    page = owner.page(COMMENTS)
    tabs = [text(tab).split() for tab in by_class(page, "tabs")[0]]
    assert tabs == [["Published", "1"], ["Held", "2"], ["Spam", "3"], ["Trash", "4"], ["All", "10"]]
    assert letters(owner.page(COMMENTS + "?status=spam")) == ["spam 2", "spam 1", "spam 0"]
    assert len(letters(owner.page(COMMENTS + "?status=all"))) == 10


def test_an_empty_tab_says_so(owner: Owner) -> None:
    for tab in ("published", "held", "spam", "trash", "all"):
        for more in ("", "&words=x", f"&before={NOBODY}"):
            assert by_class(owner.page(f"{COMMENTS}?status={tab}{more}"), "empty-list")


def test_a_search_takes_signs_as_they_are_and_stays_in_its_box_and_its_tabs(owner: Owner) -> None:
    add(["100% good", "100 good", "a_b", "axb"])
    assert letters(owner.page(f"{COMMENTS}?status=published&words=0%25")) == ["100% good"]
    page = owner.page(f"{COMMENTS}?status=published&words=100%25+g%00ood")
    assert fields(page)["words"] == "100% good"
    for tab in by_class(page, "tabs")[0].findall(".//a"):
        assert parse_qs(urlsplit(tab.attrib["href"]).query)["words"] == ["100% good"]


def test_a_long_search_says_so_and_leads_on(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filtered_lists, "SCANNED_ROWS", 3)
    add(["needle", *["hay"] * 4])
    page = owner.page(COMMENTS + "?status=all&words=needle")
    assert letters(page) == []
    assert "Searched comments back to" in text(page)
    [further] = by_class(page, "older")
    assert "Search further back" in text(further)
    page = owner.page(further.attrib["href"])
    assert letters(page) == ["needle"]
    assert not by_class(page, "older")


def test_what_is_no_place_in_the_list_is_not_there(owner: Owner) -> None:
    for query in ("status=new", "status=..%2f", "before=x", "before=%00", "before=" + "1" * 33):
        assert owner.get(f"{COMMENTS}?{query}").status_code == 404


def test_hostile_text_is_inert(owner: Owner) -> None:
    for hostile in HOSTILE:
        short = {"name": hostile[:80], "reason": hostile[:200], "website": hostile[:500]}
        [comment_id] = add([hostile], status="spam", **short)
        factories.change(comment_id, comment_actions.reply, hostile)
        for url in (f"{COMMENTS}?status=spam", f"{COMMENTS}{comment_id}", f"{COMMENTS}{comment_id}/delete"):
            assert hostile.strip()[:100] in owner.inert(url)
    searched = owner.page(f"{COMMENTS}?words=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert len(searched.findall(".//script")) == 1


def test_all_can_be_ticked_without_a_script(owner: Owner) -> None:
    add(["1", "2"], status="held")
    [link] = by_class(owner.page(COMMENTS), "bulk")[0].findall("a")
    boxes = owner.page(link.attrib["href"]).findall(".//input[@name='id']")
    assert [box.attrib.get("checked") for box in boxes] == ["", ""]
    assert not owner.page(COMMENTS).findall(".//input[@checked]")


def test_every_control_has_a_name_that_says_whose_comment_it_is(owner: Owner) -> None:
    for name in ("published", "held", "spam", "trash"):
        add(["Hello"], name=f"Ada the {name}", status=name)
    page = owner.page(COMMENTS + "?status=all")
    for letter in by_class(page, "comment-row"):
        whose = f"the comment by {text(letter.find('.//h2//bdi'))}"
        pressed = [one for one in letter.iter() if one.tag in ("input", "button")]
        pressed = [one for one in pressed if one.attrib.get("type") != "hidden"]
        assert len(pressed) >= 2
        for one in [*pressed, *by_class(letter, "actions")[0].findall("a")]:
            assert one.attrib["aria-label"].endswith(whose)
            assert one.attrib["aria-label"].startswith("".join(one.itertext()))
    [comment_id, *_] = add(["Hello"])
    for url in (COMMENTS + "?status=all", COMMENTS + comment_id):
        page = owner.page(url)
        labelled = {label.attrib.get("for") for label in page.findall(".//label")}
        inside = set(page.findall(".//label//input"))
        for one in [*page.iter("input"), *page.iter("select"), *page.iter("textarea")]:
            if one.attrib.get("type") != "hidden" and one not in inside:
                assert "aria-label" in one.attrib or one.attrib["id"] in labelled


# --- many at once


def test_it_says_how_many_were_done_and_that_others_had_gone(owner: Owner) -> None:
    [one, two] = add(["1", "2"], status="held")
    page = owner.does(COMMENTS + "bulk", {"action": "publish", "id": [one, two, one], "status": "held"})
    assert notice(page) == "Published 2 comments."
    page = owner.does(COMMENTS + "bulk", {"action": "trash", "id": [one, NOBODY]})
    assert notice(page) == "Moved to the trash: 1 comment. 1 no longer exists."
    page = owner.does(COMMENTS + "bulk", {"action": "spam", "id": ["x", "\0", "A" * 32]})
    assert notice(page) == "Marked as spam: 0 comments. 3 no longer exist."


def test_an_unclear_click_says_why(owner: Owner) -> None:
    [comment_id] = add(["Hello"], status="held")
    many = [comment_id, *(f"{number:032x}" for number in range(200))]
    for action, ids, reason in (
        ("", [comment_id], "Choose what to do"),
        ("burn", [comment_id], "Choose what to do"),
        ("trash", [], "Select the comments first"),
        ("trash", many, "Select at most 200 comments at a time, not 201."),
    ):
        sent = {"action": action, "id": ids, "status": "held", "words": "hell"}
        page = owner.refused(COMMENTS + "bulk", sent)
        assert reason in text(by_class(page, "summary")[0])
        assert letters(page) == ["Hello"]
    assert status(comment_id) == "held"


def test_two_hundred_go_at_once(owner: Owner) -> None:
    ids = add([str(number) for number in range(200)], status="spam")
    owner.does(COMMENTS + "bulk", {"action": "trash", "id": ids})
    assert {row.status for row in stored()} == {"trash"}


# --- for good


def test_many_are_deleted_after_a_question(owner: Owner) -> None:
    ids = add(["1", "2", "3"], status="held")
    listen()
    url, sent = COMMENTS + "bulk", {"action": "delete", "id": [*ids[:2], NOBODY], "status": "held"}
    page = parse(owner.post(url, sent))
    assert "Delete these 2 comments for good?" in text(page)
    assert (len(stored()), events()) == (3, [])
    inputs = [one.attrib for one in page.findall(".//main//form//input")]
    data = {one["name"]: [two["value"] for two in inputs if two["name"] == one["name"]] for one in inputs}
    assert (
        notice(owner.does(page.findall(".//main//form")[0].attrib["action"], {**data}))
        == "Deleted 2 comments."
    )
    assert "Already deleted" in owner.post(url, sent).text
    assert [row.id for row in stored()] == ids[2:]
    assert events() == ["comment.deleted"] * 2


# --- who may, and by what


def test_the_admin_pages_work_on_every_database(each_owner: Owner) -> None:
    owner = each_owner
    [one, two] = add(["Hello 🦋", "100% good"], status="held")
    listen()
    assert letters(owner.page(COMMENTS + "?words=100%25+%00GOOD")) == ["100% good"]
    page = owner.does(COMMENTS + "bulk", {"action": "publish", "id": [one, "\0", "x" * 999]})
    assert notice(page) == "Published 1 comment. 2 no longer exist."
    owner.does(f"{COMMENTS}{one}/reply", {"reply": "Thank\0 you 🦋"})
    owner.does(COMMENTS + two, {"name": "Zoë", "website": "", "message": "Bonjour\0"})
    owner.does(f"{COMMENTS}{one}/delete")
    assert [(row.name, row.message) for row in stored()] == [("Zoë", "Bonjour")]
    assert events() == ["comment.published", "comment.replied", "comment.deleted"]


# --- those that look alike


def alike(page: Element) -> Element | None:
    """Return the form with the button for the comments that look alike, if there is one."""
    forms = (form for form in page.findall(".//form") if form.find(".//input[@name='action']") is not None)
    return next((form for form in forms if "look alike: all spam" in text(form)), None)


@pytest.mark.parametrize("columns", [
    {"website": "https://www.slots.example/today"},
    {"reasons": "It holds a link.\nIt reads like the spam that guestbooks get: *win*."},
])  # fmt: skip
def test_one_button_marks_the_held_comments_that_look_alike_as_spam(
    owner: Owner, columns: dict[str, str]
) -> None:
    other = add(["I was there, too"], status="held", website="https://[bad")
    ids = add(["One", "Two", "Three"], status="held", reason="It holds a link.", **columns)
    page = owner.page(COMMENTS)
    form = alike(page)
    assert form is not None
    assert "These 3 look alike: all spam" in text(form)
    assert sorted(one.attrib["value"] for one in form.findall(".//input[@name='id']")) == sorted(ids)
    sent = {field.attrib["name"]: field.attrib["value"] for field in form.findall(".//input[@name]")}
    done = owner.does(f"{COMMENTS}bulk", sent | {"id": ids})
    assert "Marked as spam: 3 comments." in notice(done)
    assert [status(one) for one in (*ids, *other)] == ["spam", "spam", "spam", "held"]
    owner.does("/admin/undo/", fields(done) | {})
    assert {status(one) for one in ids} == {"held"}


def test_two_are_no_group_and_a_search_offers_none(owner: Owner) -> None:
    add(["One", "Two"], status="held", website="https://slots.example")
    assert alike(owner.page(COMMENTS)) is None
    add(["Three"], status="held", website="https://slots.example")
    assert alike(owner.page(COMMENTS)) is not None
    assert alike(owner.page(f"{COMMENTS}?status=held&words=One")) is None
