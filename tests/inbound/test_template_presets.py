"""Ready-made templates: what a repository's life, and another book's comments, read like."""

from typing import Any

import pytest

from guestbook.inbound.template_presets import PRESETS
from guestbook.lib import template_sandbox

REPO: dict[str, Any] = {"full_name": "ada/engine", "html_url": "https://git.example/ada/engine"}
ADA: dict[str, Any] = {"login": "ada", "html_url": "https://git.example/ada"}
ABOUT: dict[str, Any] = {"repository": REPO, "sender": ADA}
ISSUE: dict[str, Any] = {
    "number": 5,
    "title": "It {{ smokes }} <b>",
    "html_url": "https://git.example/ada/engine/issues/5",
}
PULL: dict[str, Any] = {
    "number": 6,
    "title": "Oil it",
    "html_url": "https://git.example/ada/engine/pull/6",
    "merged": False,
}
RELEASE: dict[str, Any] = {
    "tag_name": "v2",
    "name": "Second",
    "html_url": "https://git.example/ada/engine/releases/v2",
}
COMPARE = "https://git.example/ada/engine/compare/a...b"
SHAPES: list[Any] = ["", "text", [], [1], 5, None, True, {}]


def commits(count: int) -> list[dict[str, str]]:
    return [{"message": f"Turn wheel {number}\n\nIt was stuck."} for number in range(1, count + 1)]


def run(
    name: str, event: str, payload: object, action: str = "", sender: str = "ada"
) -> template_sandbox.Rendered:
    values = {"event": event, "action": action, "payload": payload, "sender": sender, "source": "My forge"}
    return template_sandbox.render(PRESETS[name], values)


def lines(*args: Any, **options: Any) -> list[str]:
    return run(*args, **options).text.strip().splitlines()


Case = tuple[str, str, dict[str, Any], list[str]]  # event, action, payload, lines
CASES: list[Case] = [
    (
        "push",
        "",
        {**ABOUT, "ref": "refs/heads/main", "commits": commits(1), "compare": COMPARE},
        ["ada pushed 1 commit to main in ada/engine:", "- Turn wheel 1", COMPARE],
    ),
    (
        "push",
        "",
        {**ABOUT, "ref": "refs/heads/fix/oil", "commits": commits(7), "compare_url": COMPARE},
        [
            "ada pushed 7 commits to fix/oil in ada/engine:",
            *(f"- Turn wheel {number}" for number in range(1, 6)),
            "and 2 more",
            COMPARE,
        ],
    ),
    (
        "push",
        "",
        {**ABOUT, "ref": "refs/tags/v2", "commits": [], "created": True},
        ["ada tagged v2 in ada/engine", REPO["html_url"]],
    ),
    (
        "issues",
        "opened",
        {**ABOUT, "issue": ISSUE},
        ["ada opened issue #5 in ada/engine: It {{ smokes }} <b>", ISSUE["html_url"]],
    ),
    (
        "pull_request",
        "closed",
        {**ABOUT, "pull_request": PULL},
        ["ada closed pull request #6 in ada/engine: Oil it", PULL["html_url"]],
    ),
    (
        "pull_request",
        "closed",
        {**ABOUT, "pull_request": {**PULL, "merged": True}},
        ["ada merged pull request #6 in ada/engine: Oil it", PULL["html_url"]],
    ),
    (
        "release",
        "published",
        {**ABOUT, "release": RELEASE},
        ["ada released Second of ada/engine", RELEASE["html_url"]],
    ),
    (
        "release",
        "published",
        {**ABOUT, "release": {**RELEASE, "name": None}},
        ["ada released v2 of ada/engine", RELEASE["html_url"]],
    ),
    ("star", "created", ABOUT, ["ada gave ada/engine a star. Thank you!", REPO["html_url"]]),
]


@pytest.mark.parametrize(("event", "action", "payload", "expected"), CASES)
def test_an_event_of_github_reads_like_a_sentence(
    event: str, action: str, payload: dict[str, Any], expected: list[str]
) -> None:
    for name in ("github", f"github-{event}"):
        made = run(name, event, payload, action)
        assert made.text.strip().splitlines() == expected
        assert (made.names["name"], made.names["website"]) == ("ada", ADA["html_url"])


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("github-")])
def test_a_template_for_one_event_leaves_all_others_alone(name: str) -> None:
    for event, action, payload, _ in CASES:
        assert bool(lines(name, event, payload, action=action)) == (name == f"github-{event}")


@pytest.mark.parametrize(
    ("event", "action"),
    [
        ("issues", "labeled"),
        ("issues", ""),
        ("pull_request", "synchronize"),
        ("release", "created"),
        ("star", "deleted"),
        ("push", ""),
        ("ping", ""),
        ("issue_comment", "created"),
        ("", ""),
    ],
)
def test_what_is_no_news_gives_no_text(event: str, action: str) -> None:
    payload = {**ABOUT, "issue": ISSUE, "pull_request": PULL, "release": RELEASE, "commits": [], "ref": None}
    assert lines("github", event, payload, action=action) == []


def test_a_branch_that_was_deleted_gives_no_text() -> None:
    payload = {**ABOUT, "ref": "refs/heads/old", "commits": [], "deleted": True, "created": False}
    assert lines("github", "push", payload) == []


def test_who_has_no_name_gets_the_sources() -> None:
    made = run("github", "star", {"repository": REPO, "sender": None}, "created", sender="")
    assert made.text.startswith("My forge gave ada/engine a star.")
    assert (made.names["name"], made.names["website"]) == ("My forge", "")


def test_long_titles_and_messages_are_cut() -> None:
    text = run("github", "issues", {**ABOUT, "issue": {**ISSUE, "title": "x" * 5000}}, "opened").text
    assert len(text) < 400
    push = {**ABOUT, "ref": "refs/heads/main", "commits": [{"message": "x" * 5000}] * 9}
    assert len(run("github", "push", push).text) < 1000


COMMENT = {"name": "Zoë", "website": None, "message": "Line 1\n\nLine 2", "status": "published"}


@pytest.mark.parametrize("event", ["comment.published", "comment.created"])
def test_a_comment_of_another_guestbook_comes_over_as_it_is(event: str) -> None:
    made = run("guestbook", event, {"type": event, "data": {"comment": COMMENT}}, sender="Zoë")
    assert made.text.strip() == "Line 1\n\nLine 2"
    assert (made.names["name"], made.names["website"]) == ("Zoë", "")
    linked = {**COMMENT, "website": "https://zoe.example"}
    made = run("guestbook", event, {"type": event, "data": {"comment": linked}})
    assert made.names["website"] == "https://zoe.example"


def test_what_another_guestbook_does_not_show_gives_no_text() -> None:
    held = {"type": "comment.created", "data": {"comment": {**COMMENT, "status": "held"}}}
    assert lines("guestbook", "comment.created", held) == []
    for event in ("comment.deleted", "comment.replied", "webhook.disabled", "ping"):
        assert lines("guestbook", event, {"type": event, "data": {"comment": COMMENT}}) == []


@pytest.mark.parametrize(
    ("payload", "text", "name", "website"),
    [
        (
            {"name": "Zoë", "website": "https://zoe.example", "message": "Hello"},
            "Hello",
            "Zoë",
            "https://zoe.example",
        ),
        ({"text": "Hello"}, "Hello", "ada", ""),
        ("Hello", "Hello", "ada", ""),
        ({"name": None, "message": None}, "", "ada", ""),
        ({"name": {"first": "Zoë"}, "message": {"body": "Hello"}}, "", "ada", ""),
        (["Hello"], "", "ada", ""),
        (None, "", "ada", ""),
    ],
)
def test_plain_fields_and_plain_text_become_a_comment(
    payload: Any, text: str, name: str, website: str
) -> None:
    made = run("plain", "", payload)
    assert made.text.strip() == text
    assert (made.names["name"], made.names["website"]) == (name, website)


@pytest.mark.parametrize("name", PRESETS)
def test_no_template_fails_over_what_it_is_not_made_for(name: str) -> None:
    template_sandbox.check(PRESETS[name])
    book: Case = ("comment.published", "", {"type": "comment.published", "data": {"comment": COMMENT}}, [])
    for event, action, payload, _ in [*CASES, book]:
        for shape in SHAPES:
            assert name == "plain" or lines(name, event, shape, action=action) == []
            run(name, event, shape, action)
        for key in payload:
            run(name, event, {**payload, key: None}, action)
            run(name, event, {**payload, key: {}}, action)
            run(name, event, {other: payload[other] for other in payload if other != key}, action)
