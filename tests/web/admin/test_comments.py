"""The comments at the desk: what is listed, what each button does and tells, how one stays where one was."""

from urllib.parse import parse_qs, urlsplit
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from sqlalchemy import select

from guestbook import book, browse
from guestbook.database import db, writing
from guestbook.models import Comment, Delivery, Reply
from tests import stock
from tests.web.admin.owner import Owner
from tests.web.test_hostile import HOSTILE
from tests.web.visitor import add, by_class, fields, messages, parse, stored, text

DESK = "/admin/comments/"
ALL = "comment.created comment.published comment.deleted comment.replied"
NOBODY = "0" * 32


def listen(app: Flask) -> None:
    """Add a webhook that wants to know everything from now on."""
    with app.app_context():
        stock.webhook(events=ALL, name="Slack")


def events(app: Flask) -> list[str]:
    with app.app_context():
        return [row.event for row in stock.deliveries()]


def status(app: Flask, comment_id: str) -> str:
    return next(row.status for row in stored(app) if row.id == comment_id)


def answer(app: Flask, comment_id: str, message: str) -> None:
    with app.app_context(), writing() as session:
        book.reply(session, session.get_one(Comment, comment_id), message, stock.settings())


def letters(page: Element) -> list[str]:
    return [text(by_class(letter, "words")[0]) for letter in by_class(page, "letter")]


def notice(page: Element) -> str:
    return text(by_class(page, "notice")[0])


def everything(app: Flask) -> list[tuple[object, ...]]:
    """All that is stored of comments, answers and deliveries."""
    with app.app_context():
        return [tuple(row) for model in (Comment, Reply, Delivery) for row in rows(model)]


def rows(model: type[Comment] | type[Reply] | type[Delivery]) -> list[tuple[object, ...]]:
    columns = list(model.__table__.columns)
    return [tuple(row) for row in db.session.execute(select(*columns).order_by(*columns[:1]))]


# --- the list


def test_the_first_tab_is_what_waits_and_else_what_is_published(app: Flask, owner: Owner) -> None:
    add(app, ["In the book"])
    assert letters(owner.page(DESK)) == ["In the book"]
    add(app, ["Waits"], status="held", reason="It holds 9 links.")
    page = owner.page(DESK)
    assert letters(page) == ["Waits"]
    assert text(by_class(page, "why")[0]) == "It holds 9 links."


def test_each_tab_has_its_own_comments_and_says_how_many(app: Flask, owner: Owner) -> None:
    for number, name in enumerate(("published", "held", "spam", "trash"), 1):
        add(app, [f"{name} {one}" for one in range(number)], status=name)
    page = owner.page(DESK)
    tabs = [text(tab).split() for tab in by_class(page, "tabs")[0]]
    assert tabs == [["Published", "1"], ["Held", "2"], ["Spam", "3"], ["Trash", "4"], ["All", "10"]]
    assert letters(owner.page(DESK + "?status=spam")) == ["spam 2", "spam 1", "spam 0"]
    assert len(letters(owner.page(DESK + "?status=all"))) == 10


def test_many_are_more_than_the_limit_of_counting(
    app: Flask, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "COUNT", 2)
    add(app, ["1", "2", "3"], status="spam")
    add(app, ["1", "2"], status="trash")
    tabs = [text(tab).split() for tab in by_class(owner.page(DESK), "tabs")[0]]
    assert tabs == [["Published", "0"], ["Held", "0"], ["Spam", "2+"], ["Trash", "2"], ["All", "2+"]]


def test_an_empty_tab_says_so(owner: Owner) -> None:
    for tab in ("published", "held", "spam", "trash", "all"):
        for more in ("", "&words=x", f"&before={NOBODY}"):
            assert by_class(owner.page(f"{DESK}?status={tab}{more}"), "empty")


def test_pages_of_fifty_have_every_comment_once(app: Flask, owner: Owner) -> None:
    made = add(app, [f"Hello {number}" for number in range(120)])
    url, seen = DESK, []
    while url:
        page = owner.page(url)
        seen.append(letters(page))
        url = next((link.attrib["href"] for link in by_class(page, "older")), "")
    assert [len(page) for page in seen] == [50, 50, 20]
    assert [one for page in seen for one in page] == [f"Hello {number}" for number in reversed(range(120))]
    assert len(made) == 120


def test_a_search_takes_signs_as_they_are_and_stays_in_its_box_and_its_tabs(app: Flask, owner: Owner) -> None:
    add(app, ["100% good", "100 good", "a_b", "axb"])
    for words, found in {
        "0%25": ["100% good"],
        "A_B": ["a_b"],
        "good+100": ["100 good", "100% good"],
    }.items():
        assert letters(owner.page(f"{DESK}?status=published&words={words}")) == found
    page = owner.page(f"{DESK}?status=published&words=100%25+g%00ood")
    assert fields(page)["words"] == "100% good"
    for tab in by_class(page, "tabs")[0].findall(".//a"):
        assert parse_qs(urlsplit(tab.attrib["href"]).query)["words"] == ["100% good"]


def test_a_search_that_has_not_looked_at_all_says_so_and_leads_on(
    app: Flask, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "LOOK", 3)
    add(app, ["needle", *["hay"] * 4])
    page = owner.page(DESK + "?status=all&words=needle")
    assert letters(page) == []
    assert "has looked at what was written since" in text(page)
    [further] = by_class(page, "older")
    assert "Look further back" in text(further)
    page = owner.page(further.attrib["href"])
    assert letters(page) == ["needle"]
    assert not by_class(page, "older")


def test_what_is_no_place_in_the_list_is_not_there(owner: Owner) -> None:
    for query in ("status=new", "status=..%2f", "before=x", "before=%00", "before=" + "1" * 33):
        assert owner.get(f"{DESK}?{query}").status_code == 404


def test_hostile_text_is_inert(app: Flask, owner: Owner) -> None:
    for hostile in HOSTILE:
        short = {"name": hostile[:80], "reason": hostile[:200], "website": hostile[:500]}
        [comment_id] = add(app, [hostile], status="spam", **short)
        answer(app, comment_id, hostile)
        for url in (f"{DESK}?status=spam", f"{DESK}{comment_id}", f"{DESK}{comment_id}/delete"):
            page = owner.page(url)
            assert hostile.strip()[:100] in text(page)
            assert len(page.findall(".//script")) == len(page.findall(".//img")) == 1  # our own
            assert not page.findall(".//b")
            assert not [one for one in page.findall(".//a") if one.attrib["href"].startswith("javascript:")]
    searched = owner.page(f"{DESK}?words=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
    assert len(searched.findall(".//script")) == 1


def test_all_can_be_ticked_without_a_script(app: Flask, owner: Owner) -> None:
    add(app, ["1", "2"], status="held")
    link = next(link for link in owner.page(DESK).findall(".//noscript/a"))
    boxes = owner.page(link.attrib["href"]).findall(".//input[@name='id']")
    assert [box.attrib.get("checked") for box in boxes] == ["", ""]
    assert not owner.page(DESK).findall(".//input[@checked]")


def test_everything_to_fill_in_or_to_press_has_a_name_that_says_whose_comment_it_is(
    app: Flask, owner: Owner
) -> None:
    for name in ("published", "held", "spam", "trash"):
        add(app, ["Hello"], name=f"Ada the {name}", status=name)
    page = owner.page(DESK + "?status=all")
    for letter in by_class(page, "letter"):
        whose = f"the comment by {text(letter.find('.//h2//bdi'))}"
        pressed = [one for one in letter.iter() if one.tag in ("input", "button")]
        assert len(pressed) >= 2
        for one in [*pressed, *by_class(letter, "acts")[0].findall("a")]:
            assert one.attrib["aria-label"].endswith(whose)
            assert one.attrib["aria-label"].startswith("".join(one.itertext()))
    [comment_id, *_] = add(app, ["Hello"])
    for url in (DESK + "?status=all", DESK + comment_id):
        page = owner.page(url)
        labelled = {label.attrib.get("for") for label in page.findall(".//label")}
        inside = set(page.findall(".//label//input"))
        for one in [*page.iter("input"), *page.iter("select"), *page.iter("textarea")]:
            if one.attrib.get("type") != "hidden" and one not in inside:
                assert "aria-label" in one.attrib or one.attrib["id"] in labelled


# --- one comment


def test_its_page_has_all_that_is_known_of_it(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"], website="https://ada.example", reason="It holds 9 links.")
    listen(app)
    answer(app, comment_id, "Thank you")
    page = owner.page(DESK + comment_id)
    said = text(page)
    for word in (
        "Ada",
        "published",
        "Hello",
        "Thank you",
        "https://ada.example",
        "It holds 9 links.",
        comment_id,
    ):
        assert word in said
    links = {link.attrib["href"] for link in page.findall(".//a")}
    with app.app_context():
        delivery = stock.one()
    assert {f"/comments/{comment_id}", f"/admin/deliveries/{delivery.id}"} <= links
    assert "comment.replied" in said
    assert "Slack" in said
    form = fields(page)
    assert (form["name"], form["website"]) == ("Ada", "https://ada.example")


def test_what_is_not_published_has_no_link_into_the_book(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"], status="held")
    links = {link.attrib["href"] for link in owner.page(DESK + comment_id).findall(".//a")}
    assert f"/comments/{comment_id}" not in links


def test_a_comment_that_is_not_there_is_404(owner: Owner) -> None:
    key = owner.key()
    for wrong in (NOBODY, "x", "A" * 32, "%00", "1" * 33, "bulk"):
        for end in ("", "/delete"):
            assert owner.get(f"{DESK}{wrong}{end}").status_code == 404
        for end in ("/reply", "/publish", "/hold", "/spam", "/trash", "/restore", "/delete", "/burn"):
            data = {"csrf_token": key, "reply": "x"}
            assert owner.open("POST", f"{DESK}{wrong}{end}", data=data).status_code == 404
    data = {"csrf_token": key, "name": "Ada", "message": "Hello"}
    assert owner.open("POST", f"{DESK}{NOBODY}", data=data).status_code == 404


MOVES = [
    ("published", "hold", "held", []),
    ("published", "spam", "spam", ["comment.deleted"]),
    ("published", "trash", "trash", ["comment.deleted"]),
    ("published", "restore", "published", []),
    ("held", "publish", "published", ["comment.published"]),
    ("held", "spam", "spam", ["comment.deleted"]),
    ("held", "trash", "trash", ["comment.deleted"]),
    ("spam", "publish", "published", ["comment.created", "comment.published"]),
    ("spam", "restore", "published", ["comment.created", "comment.published"]),
    ("spam", "trash", "trash", []),
    ("trash", "restore", "published", ["comment.published"]),
]


@pytest.mark.parametrize(("was", "action", "becomes", "told"), MOVES)
def test_each_button_makes_exactly_its_events_and_a_second_click_none(
    app: Flask, owner: Owner, was: str, action: str, becomes: str, told: list[str]
) -> None:
    [comment_id] = add(app, ["Shy words"], status=was)
    listen(app)
    key = owner.key()
    for _ in range(2):
        answered = owner.open("POST", f"{DESK}{comment_id}/{action}", data={"csrf_token": key})
        assert (answered.status_code, answered.headers["Location"]) == (303, DESK + comment_id)
    assert status(app, comment_id) == becomes
    assert events(app) == told
    assert messages(owner.page("/")) == (["Shy words"] if becomes == "published" else [])
    assert owner.get(f"/comments/{comment_id}").status_code == (200 if becomes == "published" else 404)


def test_what_was_suspicious_is_held_again_when_it_is_restored(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"], status="spam", reason="It holds a link.")
    assert "is held" in notice(owner.does(f"{DESK}{comment_id}/restore"))
    assert status(app, comment_id) == "held"


def test_a_press_on_every_button_of_the_list_is_taken(app: Flask, owner: Owner) -> None:
    for name in ("published", "held", "spam", "trash"):
        add(app, ["Hello"], status=name)
    buttons = owner.page(DESK + "?status=all").findall(".//button[@formaction]")
    assert len(buttons) == 10
    for button in buttons:
        assert owner.post(button.attrib["formaction"]).status_code == 303


def test_after_a_button_of_the_list_the_owner_is_where_they_were(app: Flask, owner: Owner) -> None:
    [comment_id, edge] = add(app, ["needle & thread", "hay"], status="held")
    form = fields(owner.page(f"{DESK}?status=held&words=needle+%26&before={edge}"))
    answered = owner.post(f"{DESK}{comment_id}/publish", {**form})
    place = urlsplit(answered.headers["Location"])
    assert (place.netloc, place.path) == ("", DESK)
    assert parse_qs(place.query) == {"status": ["held"], "words": ["needle &"], "before": [edge]}
    assert notice(owner.page(answered.headers["Location"])) == "The comment by Ada is published."


def test_a_place_that_is_none_leads_nowhere_and_changes_nothing(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"], status="held")
    for place in ({"status": "//evil.example"}, {"status": "held", "before": "//evil.example"}):
        for url in (f"{comment_id}/publish", f"{comment_id}/delete", "bulk"):
            answered = owner.post(DESK + url, {"id": comment_id, "action": "publish", **place})
            assert answered.status_code == 404
    assert status(app, comment_id) == "held"


def test_words_that_look_like_an_address_stay_words(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"], status="held")
    typed = {"status": "held", "words": "//evil.example\r\nX: y"}
    place = urlsplit(owner.post(f"{DESK}{comment_id}/hold", {**typed}).headers["Location"])
    assert (place.scheme, place.netloc, place.path) == ("", "", DESK)


def test_an_edit_is_stored_and_tells_nobody(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Helo"])
    listen(app)
    page = owner.does(DESK + comment_id, {"name": "Ada L.", "website": "ada.example", "message": "Hello"})
    assert notice(page) == "The comment is changed."
    [row] = stored(app)
    assert (row.name, row.website, row.message) == ("Ada L.", "https://ada.example", "Hello")
    assert events(app) == []


def test_a_wrong_edit_comes_back_with_its_reasons_and_the_text(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"])
    typed = {"name": "", "website": "javascript:alert(1)", "message": "<b>" * 2000}
    answered = owner.post(DESK + comment_id, {**typed})
    assert answered.status_code == 422
    page = parse(answered)
    form = fields(page)
    assert {name: form[name].strip() for name in typed} == typed
    reasons = {one.attrib["id"] for one in by_class(page, "reason")}
    assert reasons == {"name-reason", "website-reason", "message-reason"}
    assert stored(app)[0].message == "Hello"


def test_an_answer_is_told_changed_and_taken_away(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"])
    listen(app)
    url = f"{DESK}{comment_id}/reply"
    assert notice(owner.does(url, {"reply": "Thank you"})) == "Your answer is kept."
    owner.does(url, {"reply": "Thank you"})
    assert fields(owner.page(DESK + comment_id))["reply"].strip() == "Thank you"
    assert "Thank you" in text(by_class(owner.page(DESK), "reply")[0])
    assert "no answer" in notice(owner.does(url, {"reply": " "}))
    assert events(app) == ["comment.replied"]
    assert not by_class(owner.page("/"), "reply")


def test_an_answer_that_is_too_long_comes_back_with_the_reason_and_the_text(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"])
    answer(app, comment_id, "Thank you")
    answered = owner.post(f"{DESK}{comment_id}/reply", {"reply": "x" * 4001})
    assert answered.status_code == 422
    page = parse(answered)
    assert fields(page)["reply"].strip() == "x" * 4001
    assert [one.attrib["id"] for one in by_class(page, "reason")] == ["reply-reason"]
    assert "Thank you" in text(by_class(page, "reply")[0])


# --- many at once


def test_what_is_ticked_is_done_with_exactly_its_events(app: Flask, owner: Owner) -> None:
    listen(app)
    for was, action, becomes, told in MOVES:
        before, ids = events(app), add(app, ["1", "2", "3"], status=was)
        owner.does(DESK + "bulk", {"action": action, "id": ids[:2], "status": was})
        assert [status(app, one) for one in ids] == [becomes, becomes, was]
        assert sorted(events(app)[len(before) :]) == sorted(told * 2)


def test_it_says_how_many_were_done_and_that_others_had_gone(app: Flask, owner: Owner) -> None:
    [one, two] = add(app, ["1", "2"], status="held")
    page = owner.does(DESK + "bulk", {"action": "publish", "id": [one, two, one], "status": "held"})
    assert notice(page) == "Published 2 comments."
    page = owner.does(DESK + "bulk", {"action": "trash", "id": [one, NOBODY]})
    assert notice(page) == "Threw away 1 comment. 1 was not there any more."
    page = owner.does(DESK + "bulk", {"action": "spam", "id": ["x", "\0", "A" * 32]})
    assert notice(page) == "Marked as spam 0 comments. 3 were not there any more."


@pytest.mark.parametrize(
    ("action", "count", "reason"),
    [
        ("", 1, "choose what to do"),
        ("burn", 1, "choose what to do"),
        ("trash", 0, "tick"),
        ("trash", 201, "200"),
    ],
)
def test_what_is_unclear_or_too_much_changes_nothing_and_says_why(
    app: Flask, owner: Owner, action: str, count: int, reason: str
) -> None:
    [comment_id] = add(app, ["Hello"], status="held")
    ids = [comment_id, *(f"{number:032x}" for number in range(count))][:count]
    answered = owner.post(DESK + "bulk", {"action": action, "id": ids, "status": "held", "words": "hell"})
    assert answered.status_code == 422
    page = parse(answered)
    assert reason in text(by_class(page, "summary")[0])
    assert letters(page) == ["Hello"]
    assert status(app, comment_id) == "held"


def test_two_hundred_go_at_once(app: Flask, owner: Owner) -> None:
    ids = add(app, [str(number) for number in range(200)], status="spam")
    owner.does(DESK + "bulk", {"action": "trash", "id": ids})
    assert {row.status for row in stored(app)} == {"trash"}


# --- for good


def test_one_is_deleted_after_a_question(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"])
    answer(app, comment_id, "Thank you")
    listen(app)
    page = owner.page(f"{DESK}{comment_id}/delete?status=published&words=hell")
    [form] = page.findall(".//main//form")
    assert form.attrib["action"] == f"{DESK}{comment_id}/delete"
    answered = owner.post(form.attrib["action"], {**fields(page)})
    assert answered.headers["Location"] == f"{DESK}?status=published&words=hell"
    assert (stored(app), events(app)) == ([], ["comment.deleted"])
    assert owner.post(form.attrib["action"]).status_code == 404


def test_many_are_deleted_after_a_question(app: Flask, owner: Owner) -> None:
    ids = add(app, ["1", "2", "3"], status="held")
    listen(app)
    before = everything(app)
    asked = owner.post(DESK + "bulk", {"action": "delete", "id": [*ids[:2], NOBODY], "status": "held"})
    assert asked.status_code == 200
    page = parse(asked)
    assert "Delete these 2 comments for good?" in text(page)
    assert everything(app) == before
    sent = [one.attrib for one in page.findall(".//main//form//input")]
    data = {one["name"]: [two["value"] for two in sent if two["name"] == one["name"]] for one in sent}
    assert (
        notice(owner.does(page.findall(".//main//form")[0].attrib["action"], {**data}))
        == "Deleted 2 comments."
    )
    assert [row.id for row in stored(app)] == ids[2:]
    assert events(app) == ["comment.deleted"] * 2


def test_a_question_about_what_has_gone_says_so(owner: Owner) -> None:
    answered = owner.post(DESK + "bulk", {"action": "delete", "id": [NOBODY]})
    assert answered.status_code == 200
    assert "gone already" in text(parse(answered))


# --- who may, and by what


def test_no_get_changes_anything(app: Flask, owner: Owner) -> None:
    listen(app)
    for name in ("published", "held", "spam", "trash"):
        [comment_id] = add(app, ["Hello"], status=name)
        answer(app, comment_id, "Thank you")
        before = everything(app)
        for end in ("", "/delete", "/publish", "/hold", "/spam", "/trash", "/restore", "/reply"):
            assert owner.get(f"{DESK}{comment_id}{end}?action=delete&sure=yes").status_code in (200, 405)
        for query in ("", "?status=all&words=hello", f"bulk?action=delete&sure=yes&id={comment_id}"):
            owner.get(DESK + query)
        assert everything(app) == before


def test_a_form_without_the_key_does_nothing(app: Flask, owner: Owner) -> None:
    [comment_id] = add(app, ["Hello"], status="held")
    before = everything(app)
    for url in ("bulk", comment_id, *(f"{comment_id}/{end}" for end in ("reply", "publish", "delete"))):
        data = {"action": "publish", "id": comment_id, "name": "x", "message": "x", "reply": "x"}
        assert owner.open("POST", DESK + url, data=data).status_code == 400
    assert everything(app) == before
