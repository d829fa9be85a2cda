"""Ready-made templates: what a repository's life, and another book's comments, read like."""

from typing import Any

import pytest

from guestbook.inbound.samples import SAMPLES
from guestbook.inbound.sender_presets import PRESETS
from guestbook.lib import template_sandbox
from guestbook.lib.template_sandbox import Rendered

SHAPES: list[Any] = ["", "text", [], [1], 5, None, True, {}]
SAMPLE: dict[str, dict[str, Any]] = {one.name: one.payload for one in SAMPLES["github"]}
PLACE = "https://github.com/ada/lighthouse"
COMPARE = "https://git.example/ada/lighthouse/compare/a...b"


def changed(name: str, **parts: Any) -> dict[str, Any]:
    """A sample of GitHub with other parts; a dict changes only what it names."""
    payload = SAMPLE[name]
    merged = {key: {**payload.get(key, {}), **part} for key, part in parts.items() if isinstance(part, dict)}
    return {**payload, **parts, **merged}


def commits(count: int) -> list[dict[str, str]]:
    return [{"message": f"Turn wheel {number}\n\nIt was stuck."} for number in range(1, count + 1)]


def run(name: str, event: str, payload: Any, action: str = "", sender: str = "ada") -> Rendered:
    values = {"event": event, "action": action, "payload": payload, "sender": sender, "source": "My forge"}
    return template_sandbox.render(PRESETS[name], values)


def lines(*args: Any, **options: Any) -> list[str]:
    return run(*args, **options).text.strip().splitlines()


Case = tuple[str, str, dict[str, Any], list[str]]  # event, action, payload, lines


def case(name: str, text: str, **parts: Any) -> Case:
    """Give an event of GitHub, and what it reads like; ~ is the address of the repository."""
    event, _, action = name.partition(".")
    return event, action, changed(name, **parts), text.replace("~", PLACE).splitlines()


REVIEW, COMMENTED = "pull_request_review.submitted", "It is the wick.\n~/issues/7#issuecomment-1"
FLICKERS, BRIGHTER = "#7 in ada/lighthouse: The lamp flickers", "#8 in ada/lighthouse: A brighter lamp"
FIVE_OF_SEVEN = "".join(f"- Turn wheel {number}\n" for number in range(1, 6)) + "and 2 more\n"
ELSEWHERE = {"state": "error", "environment": None, "target_url": COMPARE}
CASES: list[Case] = [
    case("issues.opened", f"ada opened issue {FLICKERS}\n~/issues/7"),
    case("issues.opened", "ada opened issue #7 in ada/lighthouse: {{ x }} <b>\n~/issues/7",
        issue={"title": "{{ x }} <b>"}),
    case("push", "ada pushed 1 commit to main in ada/lighthouse:\n- Turn wheel 1\n~/compare/1…2",
        commits=commits(1)),
    case("push", f"ada pushed 7 commits to fix/oil in ada/lighthouse:\n{FIVE_OF_SEVEN}{COMPARE}",
        **{"ref": "refs/heads/fix/oil", "commits": commits(7), "compare": None, "compare_url": COMPARE}),
    case("push", "ada tagged v2 in ada/lighthouse\n~", ref="refs/tags/v2", commits=[], created=True),
    case("pull_request.closed", f"ada merged pull request {BRIGHTER}\n~/pull/8"),
    case("pull_request.closed", f"ada closed pull request {BRIGHTER}\n~/pull/8", pull_request={"merged": 0}),
    case("release.published", "ada released 1.0 of ada/lighthouse\n~/releases/1.0"),
    case("release.published", "ada released v2 of ada/lighthouse\n~/releases/1.0",
        release={"name": None, "tag_name": "v2"}),
    case("star.created", "ada gave ada/lighthouse a star. Thank you!\n~"),
    case("issue_comment.created", f"ada commented on issue {FLICKERS}\n{COMMENTED}"),
    case("issue_comment.created", f"ada commented on pull request {FLICKERS}\n{COMMENTED}",
        issue={"pull_request": {"url": PLACE}}),
    case("discussion.created",
        "ada started discussion #9 in ada/lighthouse:\nWhich oil is best?\n~/discussions/9"),
    case(REVIEW, f"ada approved pull request {BRIGHTER}\n~/pull/8#review", review={"body": None}),
    case(REVIEW, f"ada asked for changes to pull request {BRIGHTER}\nIt shines.\n~/pull/8#review",
        review={"state": "changes_requested"}),
    case("fork", "ada forked ada/lighthouse\nhttps://github.com/grace/lighthouse"),
    case("sponsorship.created", "ada became a sponsor of lighthouse. Thank you!"),
    case("workflow_run.completed", "Tests #12 failed on main in ada/lighthouse\n~/actions/runs/12"),
    case("deployment_status.created", "ada/lighthouse was deployed to production"),
    case("deployment_status.created", f"ada/lighthouse could not be deployed to test\n{COMPARE}",
        **{"deployment_status": ELSEWHERE, "deployment": {"environment": "test"}}),
]  # fmt: skip


@pytest.mark.parametrize(("event", "action", "payload", "expected"), CASES)
def test_an_event_of_github_is_a_sentence(event: str, action: str, payload: Any, expected: Any) -> None:
    for name in ("github", f"github-{event}"):
        made = run(name, event, payload, action)
        assert made.text.strip().splitlines() == expected
        assert (made.names["name"], made.names["website"]) == ("ada", "https://github.com/ada")


@pytest.mark.parametrize("name", [name for name in PRESETS if name.startswith("github-")])
def test_a_template_for_one_event_leaves_all_others_alone(name: str) -> None:
    for event, action, payload, _ in CASES:
        assert bool(lines(name, event, payload, action=action)) == (name == f"github-{event}")


NO_NEWS = (
    *("issues.labeled", "issues", "pull_request.synchronize", "release.created", "star.deleted", "push", ""),
    *("ping", "issue_comment.edited", "discussion.labeled", "pull_request_review.submitted"),
    *("pull_request_review.dismissed", "sponsorship.created", "sponsorship.cancelled"),
    *("workflow_run.completed", "workflow_run.requested", "deployment_status.created"),
)


@pytest.mark.parametrize("name", NO_NEWS)
def test_what_is_no_news_gives_no_text(name: str) -> None:
    payload = {key: part for sample in SAMPLE.values() for key, part in sample.items()}
    payload |= {"commits": [], "ref": None, "review": {"state": "commented", "body": "Hm"}}
    payload |= {"sponsorship": {"privacy_level": "private"}, "workflow_run": {"conclusion": "success"}}
    payload |= {"deployment_status": {"state": "pending"}}
    event, _, action = name.partition(".")
    assert lines("github", event, payload, action=action) == []


def test_a_branch_that_was_deleted_gives_no_text() -> None:
    assert lines("github", "push", changed("push", commits=[], deleted=True, created=False)) == []


def test_who_has_no_name_gets_the_sources() -> None:
    made = run("github", "star", {**SAMPLE["star.created"], "sender": None}, "created", sender="")
    assert made.text.startswith("My forge gave ada/lighthouse a star.")
    assert (made.names["name"], made.names["website"]) == ("My forge", "")


def test_long_titles_and_messages_are_cut() -> None:
    issue = changed("issues.opened", issue={"title": "x" * 5000})
    assert len(run("github", "issues", issue, "opened").text) < 400
    assert len(run("github", "push", changed("push", commits=[{"message": "x" * 5000}] * 9)).text) < 1000


PROJECT = {"path_with_namespace": "ada/engine", "web_url": "https://gitlab.example/ada/engine"}
BY_ADA: dict[str, Any] = {"user": {"name": "Ada", "username": "ada"}, "project": PROJECT}
URL = "https://gitlab.example/ada/engine/-/1"
THING: dict[str, Any] = {"iid": 1, "title": "It smokes", "url": URL, "note": "Same here."}
THING |= {"id": 31, "ref": "main", "status": "failed"}  # of a pipeline


def of_gitlab(kind: str, text: str, **parts: Any) -> Case:
    event, _, action = kind.partition(".")
    return event, action, {**BY_ADA, "object_attributes": THING, **parts}, text.splitlines()


SEVEN = [{"title": f"Turn wheel {number}", "message": "…"} for number in range(1, 8)]
PUSH = {"user_name": "Ada", "ref": "refs/heads/main", "total_commits_count": 7, "commits": SEVEN}
RELEASE = {"name": "Second", "tag": "v2", "url": URL, "commit": {"author": {"name": "Ada"}}}
HOME = PROJECT["web_url"]
GITLAB: list[Case] = [
    of_gitlab("push", f"Ada pushed 7 commits to main in ada/engine:\n{FIVE_OF_SEVEN}{HOME}", **PUSH),
    of_gitlab("tag_push", f"Ada tagged v1 in ada/engine\n{HOME}", ref="refs/tags/v1", checkout_sha="8"),
    of_gitlab("issue.open", f"Ada opened issue #1 in ada/engine: It smokes\n{URL}"),
    of_gitlab("merge_request.merge", f"Ada merged merge request !1 in ada/engine: It smokes\n{URL}"),
    of_gitlab("note.create", f"Ada commented on It smokes:\nSame here.\n{URL}", issue={"title": "It smokes"}),
    of_gitlab("release.create", f"Ada released Second of ada/engine\n{URL}", **RELEASE),
    of_gitlab("pipeline", f"Pipeline #31 failed on main in ada/engine\n{URL}"),
]


@pytest.mark.parametrize(("event", "action", "payload", "expected"), GITLAB)
def test_an_event_of_gitlab_is_a_sentence(event: str, action: str, payload: Any, expected: Any) -> None:
    assert lines("gitlab", event, payload, action) == expected


@pytest.mark.parametrize("event", ["issue", "merge_request", "note"])
@pytest.mark.parametrize("secret", [
    {"object_attributes": {**THING, "confidential": True}},
    {"object_attributes": {**THING, "internal": True}},
    {"object_attributes": THING, "event_type": "confidential_issue"},
    {"object_attributes": THING, "event_type": "confidential_note"},
    {"object_attributes": THING, "issue": {"title": "Hush", "confidential": True}},
])  # fmt: skip
def test_what_gitlab_marks_as_confidential_gives_no_text(event: str, secret: dict[str, Any]) -> None:
    for action in ("open", "create", "close"):
        assert lines("gitlab", event, {**BY_ADA, **secret}, action) == []


def test_what_is_no_news_of_gitlab_gives_no_text() -> None:
    fine = {**BY_ADA, "object_attributes": {**THING, "status": "success"}}
    for event, action in (("issue", "update"), ("merge_request", "approved"), ("pipeline", "")):
        assert lines("gitlab", event, fine, action) == []


def test_gitea_names_a_fork_and_a_review_in_its_own_way() -> None:
    mine = {"full_name": "bob/engine", "html_url": "https://git.example/bob/engine"}
    fork = {"forkee": SAMPLE["fork"]["repository"], "repository": mine, "sender": {"login": "bob"}}
    assert lines("gitea", "fork", fork, sender="bob") == ["bob forked ada/lighthouse", mine["html_url"]]
    review = changed("pull_request_review.submitted", review={"type": "x", "content": "Fine.", "body": None})
    assert lines("gitea", "pull_request_approved", review, "reviewed") == [
        "ada approved pull request #8 in ada/lighthouse: A brighter lamp",
        "Fine.",
        f"{PLACE}/pull/8",
    ]
    for event, action, payload, expected in CASES[:9]:
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


ZOE = {"name": "Zoë", "website": "https://zoe.example", "message": "Hello"}


@pytest.mark.parametrize(("payload", "text", "name", "website"), [
    (ZOE, "Hello", "Zoë", "https://zoe.example"),
    ({"text": "Hello"}, "Hello", "ada", ""),
    ({"content": "Hello"}, "Hello", "ada", ""),
    ({"title": "Hello"}, "Hello", "ada", ""),
    ({"message": "", "title": "Hello", "content": None}, "Hello", "ada", ""),
    ("Hello", "Hello", "ada", ""),
    ({"name": None, "message": None}, "", "ada", ""),
    ({"name": {"first": "Zoë"}, "message": {"body": "Hello"}}, "", "ada", ""),
    (["Hello"], "", "ada", ""),
    (None, "", "ada", ""),
])  # fmt: skip
def test_plain_fields_and_text_become_a_comment(payload: Any, text: str, name: str, website: str) -> None:
    made = run("plain", "", payload)
    assert made.text.strip() == text
    assert (made.names["name"], made.names["website"]) == (name, website)


@pytest.mark.parametrize("name", PRESETS)
def test_no_template_fails_over_what_it_is_not_made_for(name: str) -> None:
    template_sandbox.parse(PRESETS[name])
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
