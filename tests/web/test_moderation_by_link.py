"""The page behind a moderation link: looking changes nothing, a button acts once, and no other link works."""

import random
import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from guestbook.comments import comment_actions
from guestbook.comments.events_and_reminders import SignedLink
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, ids
from guestbook.storage.database import db
from guestbook.storage.models import Comment, Hold, Limit
from guestbook.web import row_lookup
from tests.support import factories
from tests.support.visitor import Visitor, by_class, fields, parse, text
from tests.web.conftest import Later

HELD = Classification("held", ("It holds 9 links.",))
HOSTILE = "<script>alert(1)</script>\n{{ 7 * 7 }} \u202eevil"
STATUS_AFTER = {"publish": "published", "reply": "published", "spam": "spam", "trash": "trash"}


class Moderator(Visitor):
    """Somebody without a login who was sent a link."""

    def __init__(self, app: Flask, message: str = "Hello") -> None:
        super().__init__(app)
        factories.webhook(
            events="comment.created comment.published comment.replied comment.deleted",
            moderation_links_since=clock.now(),
        )
        self.comment_id = factories.sign(message=message, verdict=HELD)
        self.path = f"/moderate/{self.link().token(factories.settings().secret_key)}"

    def link(self) -> SignedLink:
        """The link of the first message."""
        held_at = factories.read(lambda session: session.get_one(Hold, self.comment_id).held_at)
        return SignedLink(self.comment_id, held_at, clock.now() + timedelta(days=7))

    def press(self, action: str, *, form: dict[str, str] | None = None, **typed: str) -> TestResponse:
        sent = fields(self.page(self.path)) if form is None else form
        return self.open("POST", self.path, data=sent | {"action": action} | typed)

    def stored(self) -> Comment:
        with self.app.app_context():
            comment = db.session.get_one(Comment, self.comment_id)
            assert comment.reply is None or comment.reply.message  # loaded before the session ends
            return comment

    def events(self) -> list[str]:
        return [row.event for row in factories.deliveries()]


@pytest.fixture
def moderator(app: Flask) -> Moderator:
    return Moderator(app)


def test_the_page_shows_the_comment_and_why_it_waits(app: Flask) -> None:
    moderator = Moderator(app, HOSTILE)
    page = moderator.page(moderator.path)
    shown = text(by_class(page, "comment-text")[0])
    assert "<script>alert(1)</script>" in shown
    assert "{{ 7 * 7 }}" in shown
    assert "\u202e" not in shown
    assert page.find(".//script") is None
    assert "Held because: It holds 9 links." in text(page)
    buttons = [button.attrib["value"] for button in page.findall(".//button")]
    assert buttons == ["publish", "spam", "trash", "reply"]


def test_looking_at_the_link_changes_nothing_however_it_is_fetched(moderator: Moderator) -> None:
    before = factories.everything()
    for headers in ({}, {"Sec-Purpose": "prefetch"}, {"User-Agent": "Slackbot-LinkExpanding 1.0"}):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert moderator.open(method, moderator.path, headers=headers).status_code == 200
    for method in ("PUT", "PATCH", "DELETE"):
        assert moderator.open(method, moderator.path).status_code == 405
    assert moderator.get(f"{moderator.path}?action=publish&done=").status_code == 200
    assert factories.everything() == before


@pytest.mark.parametrize("action", STATUS_AFTER)
def test_a_button_acts_and_says_what_was_done(moderator: Moderator, action: str) -> None:
    answer = moderator.press(action, reply="Welcome!" if action == "reply" else "")
    assert answer.status_code == 303
    page = moderator.page(answer.headers["Location"])
    done = {"publish": "published", "reply": "published with your reply"}
    done |= {"spam": "marked as spam", "trash": "moved to the trash"}
    assert text(page.find(".//h1")) == f"The comment was {done[action]}"
    links = [link.attrib["href"] for link in page.findall(".//a")]
    assert f"https://book.example/admin/comments/{moderator.comment_id}" in links
    comment = moderator.stored()
    assert comment.status == STATUS_AFTER[action]
    assert (comment.reply.message if comment.reply else None) == ("Welcome!" if action == "reply" else None)
    published = ["comment.published", "comment.replied"] if action == "reply" else ["comment.published"]
    then = published if STATUS_AFTER[action] == "published" else ["comment.deleted"]
    assert moderator.events() == ["comment.created", *then]


def test_a_reply_that_was_typed_is_kept_whichever_button_publishes(moderator: Moderator) -> None:
    answer = moderator.press("publish", reply="Welcome!\r\n")
    assert "published with your reply" in text(moderator.page(answer.headers["Location"]).find(".//h1"))
    reply = moderator.stored().reply
    assert reply.message == "Welcome!"


@pytest.mark.parametrize("action", ["spam", "trash"])
def test_a_typed_reply_goes_to_no_comment_that_leaves_the_book(moderator: Moderator, action: str) -> None:
    moderator.press(action, reply="Welcome!")
    assert (moderator.stored().reply, moderator.stored().status) == (None, action)
    assert "comment.replied" not in moderator.events()


def test_a_link_works_once(moderator: Moderator) -> None:
    form = fields(moderator.page(moderator.path))
    assert moderator.press("publish", form=form).status_code == 303
    events = moderator.events()
    for action in STATUS_AFTER:
        again = moderator.press(action, form=form, reply="Hello")
        assert again.status_code == 410
        assert text(parse(again).find(".//h1")) == "The comment was published"
    seen = moderator.get(moderator.path)
    assert seen.status_code == 410
    assert "It was done with this link" in seen.text
    assert moderator.stored().status == "published"
    assert moderator.events() == events


def test_a_decision_elsewhere_ends_the_link_and_another_hold_does_not_revive_it(moderator: Moderator) -> None:
    form = fields(moderator.page(moderator.path))
    factories.change(moderator.comment_id, comment_actions.move, "trash")
    seen = moderator.press("publish", form=form)
    assert seen.status_code == 410
    assert "This comment was decided elsewhere" in seen.text
    assert "in the trash" in seen.text
    factories.change(moderator.comment_id, comment_actions.move, "held")
    assert moderator.press("publish", form=form).status_code == 410
    assert "This link no longer works" in moderator.get(moderator.path).text
    assert moderator.stored().status == "held"


def test_after_seven_days_it_has_expired(moderator: Moderator, later: Later) -> None:
    later(7 * 86400 - 60)
    form = fields(moderator.page(moderator.path))
    later(120)
    seen = moderator.press("publish", form=form)
    assert seen.status_code == 410
    assert "This link has expired" in seen.text
    assert moderator.stored().status == "held"


def test_of_a_deleted_comment_it_says_so(moderator: Moderator) -> None:
    factories.change(moderator.comment_id, comment_actions.delete)
    seen = moderator.get(moderator.path)
    assert seen.status_code == 410
    assert "This comment was deleted" in seen.text


def test_a_comment_that_changed_under_the_page_is_shown_again_first(moderator: Moderator) -> None:
    form = fields(moderator.page(moderator.path))
    factories.alter(Comment, moderator.comment_id, message="Something else")
    answer = moderator.press("publish", form=form, reply="Welcome!")
    assert answer.status_code == 409
    assert "Something else" in answer.text
    assert fields(parse(answer))["reply"] == "Welcome!"
    assert moderator.stored().status == "held"
    assert moderator.press("publish").status_code == 303


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"token": ""}, "The form was incomplete"),
        ({"token": "abc"}, "The form was incomplete"),
        ({"action": "delete"}, "Choose one of the buttons"),
        ({"action": ""}, "Choose one of the buttons"),
        ({"action": "reply"}, "Write your reply first"),
        ({"action": "reply", "reply": " \u200b "}, "Write your reply first"),
        ({"action": "publish", "reply": "x" * 4001}, "4,001"),
    ],
)
def test_a_wrong_form_only_says_why(moderator: Moderator, typed: dict[str, str], says: str) -> None:
    answer = moderator.press(**{"action": "publish", **typed})
    assert answer.status_code == 422
    assert says in text(by_class(parse(answer), "summary")[0])
    assert (moderator.stored().status, moderator.events()) == ("held", ["comment.created"])


def wrong_paths(moderator: Moderator) -> Iterator[str]:
    """Links that were altered, cut off, mixed or made up."""
    token, luck = moderator.path.rpartition("/")[2], random.Random(7)
    for _ in range(12):
        place = luck.randrange(len(token))
        other = luck.choice([one for one in "0123456789abcdef" if one != token[place]])
        yield token[:place] + other + token[place + 1 :]
    yield from (token[:-1], token[1:], token + "0", token.upper(), "é" * 88, "%00", "٣" * 88, "x" * 5000)


def test_no_other_link_works(moderator: Moderator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_lookup, "MOST_WRONG_LINKS", 1000)
    form = fields(moderator.page(moderator.path)) | {"action": "publish"}
    for token in wrong_paths(moderator):
        for method in ("GET", "POST"):
            answer = moderator.open(method, f"/moderate/{token}", data=form if method == "POST" else None)
            assert answer.status_code == 404, token
            assert "The link is incomplete or was changed." in answer.text
            assert answer.headers["Cache-Control"] == "no-store"
    assert moderator.stored().status == "held"
    other = SignedLink(ids.new(), clock.now(), clock.now() + timedelta(days=1))  # of another comment
    ours, foreign = other.token(factories.settings().secret_key), moderator.link().token("another key")
    assert moderator.open("POST", f"/moderate/{ours}", data=form).status_code == 410
    assert moderator.open("POST", f"/moderate/{foreign}", data=form).status_code == 404


def test_who_guesses_has_to_wait_and_the_right_link_still_works(moderator: Moderator) -> None:
    wrong = f"/moderate/{'0' * 88}"
    for _ in range(row_lookup.MOST_WRONG_LINKS):
        assert moderator.get(wrong).status_code == 404
    refused = moderator.get(wrong)
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["Retry-After"]) <= 61
    assert "Too many wrong links" in refused.text
    assert moderator.get(moderator.path).status_code == 200
    elsewhere = moderator.get(wrong, environ_overrides={"REMOTE_ADDR": "192.0.2.7"})
    assert elsewhere.status_code == 404
    limits = factories.read(lambda session: list(session.scalars(select(Limit))))
    assert all(re.fullmatch("[0-9a-f]{64}", row.who) for row in limits)


def test_no_answer_is_kept_listed_or_betrayed_to_the_next_page(moderator: Moderator) -> None:
    used = fields(moderator.page(moderator.path))
    answers = [
        moderator.get(moderator.path),
        moderator.open("HEAD", moderator.path),
        moderator.press("spam", form=used),
        moderator.get(moderator.path),
        moderator.open("PUT", moderator.path),
        moderator.get("/moderate/abc"),
        moderator.get("/moderate"),
        moderator.get("/moderate/"),
    ]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "noindex" in answer.headers["X-Robots-Tag"]
        assert "Set-Cookie" not in answer.headers
    assert {answer.status_code for answer in answers} == {200, 303, 404, 405, 410}
    assert answers[0].headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_on_each_database_the_first_button_decides(each_app: Flask) -> None:
    moderator = Moderator(each_app)
    form = fields(moderator.page(moderator.path))
    answers = [moderator.press(action, form=form).status_code for action in ("publish", "trash", "publish")]
    assert answers == [303, 410, 410]
    assert moderator.events() == ["comment.created", "comment.published"]
