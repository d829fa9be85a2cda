"""The owner decides only what he has read: a comment that changed under the page is shown again first."""

from collections.abc import Callable

import pytest

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import DRAFT_FIELDS, Draft
from guestbook.storage.models import Comment
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import add, by_class, fields, messages, parse, stored, text
from tests.web.admin.test_comments import COMMENTS, notice, status

Change = Callable[[str], None]


def rewrite(comment_id: str, message: str = "Buy watches") -> None:
    factories.change(comment_id, comment_actions.edit, Draft("Eve", None, message, {}))


def set_one(**values: str) -> Change:
    return lambda comment_id: factories.alter(Comment, comment_id, **values)


CHANGES = {name: set_one(**{name: "x"}) for name in DRAFT_FIELDS}
CHANGES["its visitor deleted it"] = set_one(status="trash")


def summary(owner: Owner, url: str, form: dict[str, object]) -> str:
    """Send a form that must be refused because of a change; return what the page says."""
    answered = owner.post(url, form)
    assert answered.status_code == 409
    return text(by_class(parse(answered), "summary")[0])


@pytest.mark.parametrize("change", CHANGES)
def test_a_comment_changed_meanwhile_is_not_published(owner: Owner, change: str) -> None:
    for on in ("", "?status=held"):
        [comment_id] = add(["Hello"], status="held")
        form: dict[str, object] = {**fields(owner.page(COMMENTS + (on or comment_id)))}
        CHANGES[change](comment_id)
        was, name = status(comment_id), "x" if change == "name" else "Ada"
        assert summary(owner, f"{COMMENTS}{comment_id}/publish", form).strip() == (
            f"The comment by {name} has changed since you opened this page, so it stays. Read it again."
        )
        assert status(comment_id) == was


@pytest.mark.parametrize("action", ["publish", "spam", "trash", "hold", "restore", "delete"])
def test_each_button_of_the_page_that_comes_back_works(owner: Owner, action: str) -> None:
    [comment_id] = add(["Hello"], status="spam" if action in ("publish", "restore") else "published")
    page = COMMENTS + comment_id + ("/delete" if action == "delete" else "")
    before: dict[str, object] = {**fields(owner.page(page))}
    rewrite(comment_id)
    answered = owner.post(f"{COMMENTS}{comment_id}/{action}", before)
    assert answered.status_code == 409
    assert "Buy watches" in answered.text
    now = fields(parse(answered))
    assert owner.post(f"{COMMENTS}{comment_id}/{action}", {**now}).status_code == 303


def test_of_many_what_changed_stays_and_the_rest_is_done(owner: Owner) -> None:
    ids = add(["1", "2", "3", "4"], status="held")
    form = {**fields(owner.page(COMMENTS)), "id": ids, "action": "publish"}
    rewrite(ids[1])
    set_one(status="trash", name="Bob")(ids[2])
    answered = owner.post(COMMENTS + "bulk", form)
    assert answered.status_code == 409
    page = parse(answered)
    assert text(by_class(page, "summary")[0]).strip() == (
        "The comments by Eve, Bob have changed since you opened this page, so they stay. Read them again."
    )
    assert notice(page) == "Published 2 comments."
    assert [status(one) for one in ids] == ["published", "held", "trash", "published"]
    undo = next(one for one in page.findall(".//form") if one.attrib["action"] == "/admin/undo/")
    assert undo.find(".//input[@name='change']") is not None
    assert by_class(owner.page(COMMENTS), "notice") == []


def test_what_changed_after_the_question_is_not_deleted(owner: Owner) -> None:
    ids = add(["1", "2"], status="spam")
    asked = owner.post(COMMENTS + "bulk", {"id": ids, "action": "delete", "status": "spam"})
    form = {**fields(parse(asked)), "id": ids}
    rewrite(ids[0], "Sorry, this is what I meant")
    assert "The comment by Eve has changed" in summary(owner, COMMENTS + "bulk", form)
    assert [row.id for row in stored()] == ids[:1]


@pytest.mark.parametrize("action", ["publish", "spam", "trash"])
def test_the_second_click_of_a_double_click_is_taken(owner: Owner, action: str) -> None:
    [comment_id] = add(["Hello"], status="held")
    form: dict[str, object] = {**fields(owner.page(COMMENTS)), "id": comment_id, "action": action}
    for url in (f"{comment_id}/{action}", f"{comment_id}/{action}", "bulk"):
        assert owner.post(COMMENTS + url, form).status_code == 303
    [restored] = add(["Hello"], status="trash")
    form = {**fields(owner.page(COMMENTS + restored))}
    for _ in range(2):
        assert owner.post(f"{COMMENTS}{restored}/restore", form).status_code == 303


def test_no_reply_goes_to_words_that_the_owner_has_not_read(owner: Owner) -> None:
    [comment_id] = add(["I like it"])
    form: dict[str, object] = {**fields(owner.page(COMMENTS + comment_id)), "reply": "I agree!"}
    rewrite(comment_id)
    answered = owner.post(f"{COMMENTS}{comment_id}/reply", form)
    assert answered.status_code == 409
    again = fields(parse(answered))
    assert again["reply"] == "I agree!"
    assert stored()[0].reply is None
    assert owner.post(f"{COMMENTS}{comment_id}/reply", {**again}).status_code == 303


def test_no_correction_overwrites_newer_words_of_the_visitor(owner: Owner) -> None:
    [comment_id] = add(["I liek it"])
    page: dict[str, object] = {**fields(owner.page(COMMENTS + comment_id))}
    form = page | {"message": "I like it", "name": " "}
    rewrite(comment_id, "I like it. Call me!")
    answered = owner.post(COMMENTS + comment_id, form)
    assert answered.status_code == 409
    shown = parse(answered)
    said = text(by_class(shown, "summary")[0])
    assert "The comment by Eve has changed since you opened this page, so it stays." in said
    assert "Please write your name." in said
    assert "Call me!" in text(by_class(shown, "comment-text")[0])
    again: dict[str, object] = {**fields(shown)}
    assert (str(again["message"]).strip(), again["name"]) == ("I like it", "")
    assert messages(owner.page("/")) == ["I like it. Call me!"]
    for _ in range(2):  # the second click of a double click is taken, too
        assert owner.post(COMMENTS + comment_id, again | {"name": "Eve"}).status_code == 303
    assert messages(owner.page("/")) == ["I like it"]


def test_a_reply_under_the_page_is_no_change(owner: Owner) -> None:
    [comment_id] = add(["Hello"], status="held")
    form: dict[str, object] = {**fields(owner.page(COMMENTS + comment_id))}
    factories.change(comment_id, comment_actions.reply, "Thank you")
    assert owner.post(f"{COMMENTS}{comment_id}/publish", form).status_code == 303


def test_undo_brings_no_words_back_that_changed_since(owner: Owner) -> None:
    [edited, other] = add(["1", "2"])
    page = owner.does(COMMENTS + "bulk", {"id": [edited, other], "action": "hold"})
    change = fields(page)["change"]
    rewrite(edited)
    said = notice(owner.does("/admin/undo/", {"change": change}))
    assert said.startswith("Undone. The comment by Ada is published again. 1 comment changed since")
    assert [status(one) for one in (edited, other)] == ["held", "published"]
