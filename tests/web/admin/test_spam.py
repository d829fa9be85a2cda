"""The page about spam: refusals, a flood, the learned score; and the reasons on the pages of comments."""

import pytest
from flask import Flask

from guestbook.comments.spam import spam_report
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.storage.models import Comment
from tests.support import factories
from tests.support.owner import Owner
from tests.support.visitor import plain, text

SPAM = "/admin/spam/"


def test_an_empty_book_has_nothing_to_tell(owner: Owner) -> None:
    said = text(owner.page(SPAM).find(".//main"))
    assert "No comment was refused in the last 30 days." in said
    assert "The score has learned nothing yet." in said
    assert "more than 30 comments come within a minute" in said


def test_refusals_are_shown_with_their_numbers(app: Flask, owner: Owner) -> None:
    with app.app_context():
        for reason in ("expired", "rate", "rate"):
            spam_report.count_refusal(reason)
    rows = [plain(row) for row in owner.page(SPAM).findall(".//tbody/tr")]
    assert rows == ["Too many comments from one network 2 2", "The form was open for more than a day 1 1"]


def test_a_flood_is_on_the_overview_and_can_be_ended(app: Flask, owner: Owner) -> None:
    with app.app_context(), writing() as session:
        for _ in range(2):
            spam_report.pass_one(session.connection(), factories.settings().secret_key, clock.now(), 1)
    for page in ("/admin/", SPAM):
        assert "so all new ones are held" in plain(owner.page(page).find(".//main"))
    assert owner.post(f"{SPAM}end-flood").status_code == 303
    assert "so all new ones are held" not in plain(owner.page(SPAM).find(".//main"))
    assert owner.sign().status_code == 303


def test_a_click_teaches_the_score_and_a_button_erases_it(owner: Owner) -> None:
    first, second = factories.sign("Lanterns"), factories.sign("Herring")
    assert owner.post(f"/admin/comments/{first}/spam").status_code == 303
    assert "from 1 comment of spam and 1 other comment" in text(owner.page(SPAM).find(".//main"))
    page = owner.page(f"/admin/comments/{first}")
    assert "The score counts its words as spam" in text(page)
    assert owner.post(f"/admin/comments/{first}/restore").status_code == 303
    assert "from 0 comments of spam and 1 other comment" in text(owner.page(SPAM).find(".//main"))
    assert owner.post(f"{SPAM}forget").status_code == 303
    assert factories.everything()["learned_words"] == []
    assert factories.the(Comment, second).learned_as is None


@pytest.mark.parametrize("status", ["published", "held", "spam"])
def test_the_pages_of_a_comment_show_all_reasons(owner: Owner, status: str) -> None:
    reasons = ("First <b>reason</b>.", "Second reason.")
    comment_id = factories.sign(verdict=Classification(status, reasons))
    said = text(owner.page(f"/admin/comments/{comment_id}"))
    assert all(reason in said for reason in reasons)
    if status != "published":
        listed = text(owner.page(f"/admin/comments/?status={status}"))
        assert all(reason in listed for reason in reasons)
