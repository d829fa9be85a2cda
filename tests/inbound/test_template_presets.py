"""Ready-made templates: what a repository's life, and another book's comments, read like."""

from typing import Any

import pytest

from guestbook.inbound.senders import PRESETS
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
REMARK: dict[str, Any] = {"body": "Same here.", "html_url": "https://git.example/ada/engine/issues/5#c1"}
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
    (
        "issue_comment",
        "created",
        {**ABOUT, "issue": ISSUE, "comment": REMARK},
        ["ada commented on issue #5 in ada/engine: It {{ smokes }} <b>", "Same here.", REMARK["html_url"]],
    ),
    (
        "issue_comment",
        "created",
        {**ABOUT, "issue": {**ISSUE, "pull_request": {"url": "https://git.example"}}, "comment": REMARK},
        [
            "ada commented on pull request #5 in ada/engine: It {{ smokes }} <b>",
            "Same here.",
            REMARK["html_url"],
        ],
    ),
    (
        "discussion",
        "created",
        {**ABOUT, "discussion": {"number": 9, "title": "Which oil?", "html_url": COMPARE}},
        ["ada started discussion #9 in ada/engine:", "Which oil?", COMPARE],
    ),
    (
        "pull_request_review",
        "submitted",
        {**ABOUT, "pull_request": PULL, "review": {"state": "approved", "body": None, "html_url": COMPARE}},
        ["ada approved pull request #6 in ada/engine: Oil it", COMPARE],
    ),
    (
        "pull_request_review",
        "submitted",
        {
            **ABOUT,
            "pull_request": PULL,
            "review": {"state": "changes_requested", "body": "More oil.", "html_url": COMPARE},
        },
        ["ada asked for changes to pull request #6 in ada/engine: Oil it", "More oil.", COMPARE],
    ),
    ("fork", "", {**ABOUT, "forkee": {"html_url": COMPARE}}, ["ada forked ada/engine", COMPARE]),
    (
        "sponsorship",
        "created",
        {"sender": ADA, "sponsorship": {"privacy_level": "public", "sponsorable": {"login": "babbage"}}},
        ["ada became a sponsor of babbage. Thank you!"],
    ),
    (
        "workflow_run",
        "completed",
        {
            **ABOUT,
            "workflow_run": {
                "name": "Tests",
                "run_number": 12,
                "head_branch": "main",
                "conclusion": "failure",
                "html_url": COMPARE,
            },
        },
        ["Tests #12 failed on main in ada/engine", COMPARE],
    ),
    (
        "deployment_status",
        "created",
        {
            **ABOUT,
            "deployment_status": {"state": "success", "environment": "production", "target_url": COMPARE},
        },
        ["ada/engine was deployed to production", COMPARE],
    ),
    (
        "deployment_status",
        "",
        {**ABOUT, "deployment_status": {"state": "error"}, "deployment": {"environment": "test"}},
        ["ada/engine could not be deployed to test"],
    ),
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
        ("issue_comment", "edited"),
        ("discussion", "labeled"),
        ("pull_request_review", "submitted"),
        ("pull_request_review", "dismissed"),
        ("sponsorship", "created"),
        ("sponsorship", "cancelled"),
        ("workflow_run", "completed"),
        ("workflow_run", "requested"),
        ("deployment_status", "created"),
        ("", ""),
    ],
)
def test_what_is_no_news_gives_no_text(event: str, action: str) -> None:
    payload = {
        **{**ABOUT, "issue": ISSUE, "pull_request": PULL, "release": RELEASE, "commits": [], "ref": None},
        **{"comment": REMARK, "discussion": ISSUE, "review": {"state": "commented", "body": "Hm"}},
        **{"sponsorship": {"privacy_level": "private"}, "workflow_run": {"conclusion": "success"}},
        "deployment_status": {"state": "pending"},
    }
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


PROJECT = {"path_with_namespace": "ada/engine", "web_url": "https://gitlab.example/ada/engine"}
BY_ADA: dict[str, Any] = {"user": {"name": "Ada", "username": "ada"}, "project": PROJECT}
URL = "https://gitlab.example/ada/engine/-/1"
THING: dict[str, Any] = {"iid": 1, "title": "It smokes", "url": URL}
GITLAB: list[Case] = [
    (
        "push",
        "",
        {
            **{"user_name": "Ada", "ref": "refs/heads/main", "project": PROJECT, "total_commits_count": 7},
            "commits": [{"title": f"Turn wheel {number}", "message": "…"} for number in range(1, 8)],
        },
        [
            "Ada pushed 7 commits to main in ada/engine:",
            *(f"- Turn wheel {number}" for number in range(1, 6)),
            "and 2 more",
            PROJECT["web_url"],
        ],
    ),
    (
        "tag_push",
        "",
        {"user_name": "Ada", "ref": "refs/tags/v1", "checkout_sha": "8216", "project": PROJECT},
        ["Ada tagged v1 in ada/engine", PROJECT["web_url"]],
    ),
    (
        "issue",
        "open",
        {**BY_ADA, "object_attributes": THING},
        ["Ada opened issue #1 in ada/engine: It smokes", URL],
    ),
    (
        "merge_request",
        "merge",
        {**BY_ADA, "object_attributes": THING},
        ["Ada merged merge request !1 in ada/engine: It smokes", URL],
    ),
    (
        "note",
        "create",
        {**BY_ADA, "object_attributes": {"note": "Same here.", "url": URL}, "issue": {"title": "It smokes"}},
        ["Ada commented on It smokes:", "Same here.", URL],
    ),
    (
        "release",
        "create",
        {
            "project": PROJECT,
            "name": "Second",
            "tag": "v2",
            "url": URL,
            "commit": {"author": {"name": "Ada"}},
        },
        ["Ada released Second of ada/engine", URL],
    ),
    (
        "pipeline",
        "",
        {**BY_ADA, "object_attributes": {"id": 31, "ref": "main", "status": "failed", "url": URL}},
        ["Pipeline #31 failed on main in ada/engine", URL],
    ),
]


@pytest.mark.parametrize(("event", "action", "payload", "expected"), GITLAB)
def test_an_event_of_gitlab_reads_like_a_sentence(
    event: str, action: str, payload: dict[str, Any], expected: list[str]
) -> None:
    assert lines("gitlab", event, payload, action) == expected


@pytest.mark.parametrize("event", ["issue", "merge_request", "note"])
@pytest.mark.parametrize(
    "secret",
    [
        {"object_attributes": {**THING, "note": "Hush", "confidential": True}},
        {"object_attributes": {**THING, "note": "Hush", "internal": True}},
        {"object_attributes": {**THING, "note": "Hush"}, "event_type": "confidential_issue"},
        {"object_attributes": {**THING, "note": "Hush"}, "event_type": "confidential_note"},
        {"object_attributes": {**THING, "note": "Hush"}, "issue": {"title": "Hush", "confidential": True}},
    ],
)
def test_what_gitlab_marks_as_confidential_gives_no_text(event: str, secret: dict[str, Any]) -> None:
    for action in ("open", "create", "close"):
        assert lines("gitlab", event, {**BY_ADA, **secret}, action) == []


@pytest.mark.parametrize(
    ("event", "action", "attributes"),
    [
        ("issue", "update", THING),
        ("merge_request", "approved", THING),
        ("pipeline", "", {"status": "success"}),
    ],
)
def test_what_is_no_news_of_gitlab_gives_no_text(event: str, action: str, attributes: dict[str, Any]) -> None:
    assert lines("gitlab", event, {**BY_ADA, "object_attributes": attributes}, action) == []


def test_gitea_names_a_fork_and_a_review_in_its_own_way() -> None:
    mine = {"full_name": "bob/engine", "html_url": "https://git.example/bob/engine"}
    fork = {"forkee": REPO, "repository": mine, "sender": {"login": "bob"}}
    assert lines("gitea", "fork", fork, sender="bob") == ["bob forked ada/engine", mine["html_url"]]
    review = {**ABOUT, "pull_request": PULL, "review": {"type": "x", "content": "Fine."}}
    assert lines("gitea", "pull_request_approved", review, "reviewed") == [
        "ada approved pull request #6 in ada/engine: Oil it",
        "Fine.",
        PULL["html_url"],
    ]
    for event, action, payload, expected in CASES[:8]:
        assert lines("gitea", event, payload, action) == expected


def paid(**values: Any) -> dict[str, Any]:
    payment = {"payment_status": "paid", "customer_details": {"name": "Grace Hopper"}, **values}
    return {"type": "checkout.session.completed", "data": {"object": payment}}


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [(500, "eur", "5.00 EUR"), (1999, "usd", "19.99 USD"), (7, "eur", "0.07 EUR"), (500, "jpy", "500 JPY")],
)
def test_a_payment_of_stripe_names_the_sum_and_no_last_name(amount: int, currency: str, words: str) -> None:
    made = run("stripe", "checkout.session.completed", paid(amount_total=amount, currency=currency))
    assert made.text.strip() == f"Grace paid {words}. Thank you!"
    assert made.names["name"] == "Grace"


def test_what_is_no_payment_gives_no_text() -> None:
    assert lines("stripe", "checkout.session.completed", paid(payment_status="unpaid", amount_total=5)) == []
    assert lines("stripe", "charge.succeeded", paid(amount_total=5)) == []
    nobody = paid(amount_total=100, currency="eur", customer_details=None)
    assert lines("stripe", "checkout.session.completed", nobody) == ["Somebody paid 1.00 EUR. Thank you!"]


def test_an_order_of_shopify_names_the_goods_and_no_last_name() -> None:
    order: dict[str, Any] = {
        "customer": {"first_name": "Grace", "last_name": "Hopper"},
        "line_items": [{"title": "A lantern"}],
    }
    assert lines("shopify", "orders/create", order) == ["Grace ordered A lantern. Thank you!"]
    more = {**order, "line_items": order["line_items"] * 3, "customer": None}
    assert lines("shopify", "orders/create", more) == ["Somebody ordered A lantern and 2 more. Thank you!"]
    assert lines("shopify", "orders/create", {**order, "test": True}) == []
    assert lines("shopify", "orders/paid", order) == []
    product = {"title": "A wick", "vendor": "Lamps", "status": "active"}
    assert lines("shopify", "products/create", product) == ["New in the shop: A wick"]
    assert lines("shopify", "products/create", {**product, "status": "draft"}) == []


def test_a_command_of_discord_signs_the_book() -> None:
    options = [{"name": "message", "type": 3, "value": "Hello"}]
    command = {"type": 2, "member": {"user": {"username": "zoe"}}, "data": {"options": options}}
    made = run("discord", "", command, sender="")
    assert (made.text.strip(), made.names["name"]) == ("Hello", "zoe")
    assert lines("discord", "", {"type": 1}) == []


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
        ({"content": "Hello"}, "Hello", "ada", ""),
        ({"title": "Hello"}, "Hello", "ada", ""),
        ({"message": "", "title": "Hello", "content": None}, "Hello", "ada", ""),
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
    order: Case = ("orders/create", "", {"line_items": [{}], "customer": {}}, [])
    payment: Case = ("checkout.session.completed", "", paid(amount_total=5), [])
    for event, action, payload, _ in [*CASES, *GITLAB, book, order, payment]:
        for shape in SHAPES:
            assert name == "plain" or lines(name, event, shape, action=action) == []
            run(name, event, shape, action)
        for key in payload:
            run(name, event, {**payload, key: None}, action)
            run(name, event, {**payload, key: {}}, action)
            run(name, event, {other: payload[other] for other in payload if other != key}, action)
