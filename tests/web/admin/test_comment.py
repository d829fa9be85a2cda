"""One comment in the admin pages: its page, its buttons and what each of them tells, edit, answer, delete."""

from urllib.parse import parse_qs, urlsplit

import pytest

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import DRAFT_FIELDS
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import add, by_class, fields, hrefs, messages, stored, text
from tests.web.admin.test_comments import COMMENTS, events, listen, notice, status

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


def test_its_page_has_all_that_is_known_of_it(owner: Owner) -> None:
    [comment_id] = add(["Hello"], website="https://ada.example", reason="It holds 9 links.")
    listen()
    factories.change(comment_id, comment_actions.reply, "Thank you")
    page = owner.page(COMMENTS + comment_id)
    said = text(page)
    facts = ("Ada", "published", "Hello", "Thank you", "https://ada.example", "It holds 9 links.", comment_id)
    assert [fact for fact in facts if fact not in said] == []
    links = hrefs(page)
    delivery = factories.one()
    assert {f"/comments/{comment_id}", f"/admin/deliveries/{delivery.id}"} <= {*links}
    assert "comment.replied" in said
    assert "Slack" in said
    form = fields(page)
    assert (form["name"], form["website"]) == ("Ada", "https://ada.example")
    assert {*DRAFT_FIELDS} <= {*form}  # or a correction would empty what the form leaves out


@pytest.mark.parametrize(("was", "action", "becomes", "sent_events"), MOVES)
def test_each_button_makes_exactly_its_events_and_a_second_click_none(
    owner: Owner, was: str, action: str, becomes: str, sent_events: list[str]
) -> None:
    [comment_id, one, other] = add(["Shy words", "1", "2"], status=was)
    listen()
    for _ in range(2):
        answered = owner.post(f"{COMMENTS}{comment_id}/{action}")
        assert (answered.status_code, answered.headers["Location"]) == (303, COMMENTS + comment_id)
    assert status(comment_id) == becomes
    assert events() == sent_events
    assert ("Shy words" in messages(owner.page("/"))) is (becomes == "published")
    assert owner.get(f"/comments/{comment_id}").status_code == (200 if becomes == "published" else 404)
    owner.does(COMMENTS + "bulk", {"action": action, "id": [one, other], "status": was})
    assert [status(one), status(other)] == [becomes, becomes]
    assert sorted(events()) == sorted(sent_events * 3)


def test_what_was_suspicious_is_held_again_when_it_is_restored(owner: Owner) -> None:
    [comment_id] = add(["Hello"], status="spam", reason="It holds a link.")
    assert "is held" in notice(owner.does(f"{COMMENTS}{comment_id}/restore"))
    assert status(comment_id) == "held"


def test_a_press_on_every_button_of_the_list_is_taken(owner: Owner) -> None:
    for name in ("published", "held", "spam", "trash"):
        add(["Hello"], status=name)
    buttons = owner.page(COMMENTS + "?status=all").findall(".//button[@formaction]")
    assert len(buttons) == 10
    for button in buttons:
        assert owner.post(button.attrib["formaction"]).status_code == 303


def test_after_a_button_of_the_list_the_owner_is_where_they_were(owner: Owner) -> None:
    [comment_id, edge] = add(["needle & thread", "hay"], status="held")
    form = fields(owner.page(f"{COMMENTS}?status=held&words=needle+%26&before={edge}"))
    answered = owner.post(f"{COMMENTS}{comment_id}/publish", {**form})
    place = urlsplit(answered.headers["Location"])
    assert (place.netloc, place.path) == ("", COMMENTS)
    assert parse_qs(place.query) == {"status": ["held"], "words": ["needle &"], "before": [edge]}
    assert notice(owner.page(answered.headers["Location"])) == "The comment by Ada is published."


def test_a_place_that_is_none_leads_nowhere_and_changes_nothing(owner: Owner) -> None:
    [comment_id] = add(["Hello"], status="held")
    for place in ({"status": "//evil.example"}, {"status": "held", "before": "//evil.example"}):
        for url in (f"{comment_id}/publish", f"{comment_id}/delete", "bulk"):
            answered = owner.post(COMMENTS + url, {"id": comment_id, "action": "publish", **place})
            assert answered.status_code == 404
    assert status(comment_id) == "held"


def test_words_that_look_like_an_address_stay_words(owner: Owner) -> None:
    [comment_id] = add(["Hello"], status="held")
    typed = {"status": "held", "words": "//evil.example\r\nX: y"}
    place = urlsplit(owner.post(f"{COMMENTS}{comment_id}/hold", {**typed}).headers["Location"])
    assert (place.scheme, place.netloc, place.path) == ("", "", COMMENTS)


def test_an_edit_is_stored_and_tells_nobody(owner: Owner) -> None:
    [comment_id] = add(["Helo"])
    listen()
    page = owner.does(COMMENTS + comment_id, {"name": "Ada L.", "website": "ada.example", "message": "Hello"})
    assert notice(page) == "The comment is changed."
    [row] = stored()
    assert (row.name, row.website, row.message) == ("Ada L.", "https://ada.example", "Hello")
    assert events() == []


def test_a_wrong_edit_comes_back_with_its_reasons_and_the_text(owner: Owner) -> None:
    [comment_id] = add(["Hello"])
    typed = {"name": "", "website": "javascript:alert(1)", "message": "<b>" * 2000}
    page = owner.refused(COMMENTS + comment_id, {**typed})
    form = fields(page)
    assert {name: form[name].strip() for name in typed} == typed
    reasons = {one.attrib["id"] for one in by_class(page, "reason")}
    assert reasons == {"name-reason", "website-reason", "message-reason"}
    assert stored()[0].message == "Hello"


def test_an_answer_is_told_changed_and_taken_away(owner: Owner) -> None:
    [comment_id] = add(["Hello"])
    listen()
    url = f"{COMMENTS}{comment_id}/reply"
    assert notice(owner.does(url, {"reply": "Thank you"})) == "Your reply is in the book."
    owner.does(url, {"reply": "Thank you"})
    assert fields(owner.page(COMMENTS + comment_id))["reply"].strip() == "Thank you"
    assert "Thank you" in text(by_class(owner.page(COMMENTS), "reply")[0])
    assert "no reply now" in notice(owner.does(url, {"reply": " "}))
    assert events() == ["comment.replied"]
    assert not by_class(owner.page("/"), "reply")


def test_an_answer_waits_for_a_comment_that_is_not_published(owner: Owner) -> None:
    for where in ("held", "spam", "trash"):
        [comment_id] = add(["Hello"], status=where)
        assert f"/comments/{comment_id}" not in hrefs(owner.page(COMMENTS + comment_id))
        said = notice(owner.does(f"{COMMENTS}{comment_id}/reply", {"reply": "Thank you"}))
        assert said == "Your reply is saved. It appears in the book when you publish the comment."


def test_an_answer_that_is_too_long_comes_back_with_the_reason_and_the_text(owner: Owner) -> None:
    [comment_id] = add(["Hello"])
    factories.change(comment_id, comment_actions.reply, "Thank you")
    page = owner.refused(f"{COMMENTS}{comment_id}/reply", {"reply": "x" * 4001})
    assert fields(page)["reply"].strip() == "x" * 4001
    assert [one.attrib["id"] for one in by_class(page, "reason")] == ["reply-reason"]
    assert "Thank you" in text(by_class(page, "reply")[0])


def test_one_is_deleted_after_a_question(owner: Owner) -> None:
    [comment_id] = add(["Hello"])
    factories.change(comment_id, comment_actions.reply, "Thank you")
    listen()
    page = owner.page(f"{COMMENTS}{comment_id}/delete?status=published&words=hell")
    [form] = page.findall(".//main//form")
    assert form.attrib["action"] == f"{COMMENTS}{comment_id}/delete"
    answered = owner.post(form.attrib["action"], {**fields(page)})
    assert answered.headers["Location"] == f"{COMMENTS}?status=published&words=hell"
    assert (stored(), events()) == ([], ["comment.deleted"])
    assert owner.post(form.attrib["action"]).status_code == 404


def test_place_mood_and_note_are_shown_and_can_be_corrected(owner: Owner) -> None:
    [comment_id] = add(["Hello"], place="Görlitz", mood="curious", note="I was the cat.")
    url = f"/admin/comments/{comment_id}"
    for page in (owner.page(url), owner.page("/admin/comments/?words=the+cat")):
        assert "I was the cat." in text(page)
        assert "Görlitz" in text(page)
        assert "curious" in text(page)
    changed = {"name": "Ada", "website": "", "message": "Hello", "place": "Zgorzelec", "note": ""}
    changed |= {"mood": "not on any list"}
    owner.does(url, changed, on=url)
    [comment] = stored()
    assert (comment.place, comment.mood, comment.note) == ("Zgorzelec", "not on any list", None)
