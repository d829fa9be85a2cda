"""A comment names who decided about it: on its page, in the command and in the API."""

from flask import Flask

from guestbook.auth import api_tokens
from guestbook.lib import clock
from guestbook.storage.database import writing
from guestbook.storage.models import Comment
from guestbook.storage.models.comment import DECISIONS_LIMIT
from tests.cli.conftest import Shell
from tests.support import factories
from tests.support.api_client import ApiClient, new_token
from tests.support.owner import Owner
from tests.support.visitor import Visitor, fields, stored, text
from tests.web.test_moderation_by_link import Moderator
from tests.web.test_own_comment import delete, path, send, signed


def decisions(comment_id: str) -> list[str]:
    """What was decided, the oldest first."""
    return [one.sentence for one in factories.the(Comment, comment_id).all_decisions][::-1]


def test_a_comment_names_rules_link_token_owner_and_command(app: Flask, owner: Owner) -> None:
    moderator = Moderator(app)
    comment = moderator.comment_id
    moderator.press("reply", reply="Thank you")
    program = ApiClient(app, new_token("Robot on the phone"))
    program.patch(f"/comments/{comment}", {"message": "Changed", "status": "trash", "reply": None})
    program.post("/moderate", {"ids": [comment], "action": "restore"}, status=200)
    shell = Shell(app.test_cli_runner())
    with app.app_context():
        shell("comments", "approve", comment)
        shell("comments", "approve", comment)  # nothing changes, so nothing is written down
    owner.post(f"/admin/comments/{comment}/hold")
    told = [
        "Held by the spam rules",
        "Published by a moderation link",
        "Replied to by a moderation link",
        "Edited by the token Robot on the phone",
        "Moved to the trash by the token Robot on the phone",
        "Reply removed by the token Robot on the phone",
        "Held by the token Robot on the phone",
        "Published by the command comments approve",
        "Held by you",
    ]
    assert decisions(comment) == told
    shown = text(owner.page(f"/admin/comments/{comment}"))
    assert all(sentence in shown for sentence in told)
    with app.app_context():
        printed = shell("comments", "show", comment)
        in_json = shell.json("comments", "show", comment)["decisions"]
    assert all(sentence in printed for sentence in told)
    [newest, *_] = program.get(f"/comments/{comment}")["decisions"]
    assert (newest["action"], newest["actor"], newest["name"]) == ("held", "admin", None)
    assert in_json[0] == newest


def test_only_programs_that_may_moderate_see_who_decided(app: Flask) -> None:
    comment = Moderator(app).comment_id
    reader = factories.written(lambda session: api_tokens.add(session, "reader", scope="read")[1])
    assert "decisions" not in ApiClient(app, reader).get(f"/comments/{comment}")
    assert "decisions" in ApiClient(app, new_token()).get(f"/comments/{comment}")


def test_visitors_who_change_their_comment_are_named_as_its_visitor(visitor: Visitor) -> None:
    comment, _ = signed(visitor)
    assert decisions(comment) == []
    form = visitor.form(path(comment))
    send(visitor, comment, form | {"message": "http://a.example " * 4})
    delete(visitor, comment, fields(visitor.page(path(comment))))
    assert decisions(comment) == [
        "Edited by its visitor",
        "Marked as spam by the spam rules",
        "Moved to the trash by its visitor",
    ]


def test_a_comment_keeps_its_newest_decisions_and_they_go_with_it(app: Flask, visitor: Visitor) -> None:
    visitor.sign()
    [comment] = stored()
    program = ApiClient(app, new_token("é" * 80))
    with app.app_context(), writing() as session:
        row = session.get_one(Comment, comment.id)
        for _ in range(DECISIONS_LIMIT):
            row.note_decision("edited", "token", "é" * 80, clock.now())
    program.patch(f"/comments/{comment.id}", {"status": "spam"})
    kept = decisions(comment.id)
    assert (len(kept), kept[-1]) == (DECISIONS_LIMIT, f"Marked as spam by the token {'é' * 80}")
    program.delete(f"/comments/{comment.id}")
    assert stored() == []


def test_a_decision_that_was_garbled_by_hand_is_shown_as_it_is(app: Flask, owner: Owner) -> None:
    comment = Moderator(app).comment_id
    factories.alter(Comment, comment, decisions="x\n\ny z")
    assert "z by" in text(owner.page(f"/admin/comments/{comment}"))
