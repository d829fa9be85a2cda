"""The sources in the admin pages: all that a person does with them, in a browser without scripts."""

import json

import pytest
from flask import Flask, get_template_attribute

from guestbook.lib import signing
from guestbook.lib.verification.kinds import VERIFICATION_KINDS, VerificationKind
from guestbook.storage.models import Source
from guestbook.storage.models.source import VERIFY
from tests.support import factories, inbound_factories
from tests.support.owner import PASSWORD, Owner
from tests.support.source_pages import PLACE, added, form, issue, stored
from tests.support.visitor import by_class, parse, text
from tests.support.webhook_pages import part, value
from tests.web.admin.test_webhooks import at_once

UNKNOWN = "0" * 32
PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
HOSTILE = "</title><script>alert(1)</script>{{9*'x'}}\"'><img src=x onerror=alert(1)> مرحبا"


def test_an_empty_list_explains_what_a_source_is_and_offers_one(owner: Owner) -> None:
    page = owner.page(PLACE)
    assert "A source sends webhooks to you" in text(page)
    [offer] = by_class(page, "button")
    assert (text(offer), offer.attrib["href"]) == ("Add a source", PLACE + "new")


def test_the_list_tells_how_each_is_doing(app: Flask, owner: Owner) -> None:
    with app.app_context():
        failing = factories.source(name="Failing", verify="token", secret="x", action="forward")
        factories.inbound(failing)
        factories.inbound(failing, status="failed", error="The token is odd.")
        factories.source(name="Silent")
    one, other = owner.page(PLACE).findall(".//tbody/tr")
    assert "A token · forward it" in text(one)
    assert "What came just now failed. The token is odd." in text(one)
    assert {link.attrib["href"]: text(link) for link in one.findall("./td//a")} == {
        f"/admin/inbox/?status=new&source={failing}": "1",
        f"/admin/inbox/?status=failed&source={failing}": "1",
    }
    assert text(by_class(other, "badge")[0]) == "silent"
    assert "Nothing has come yet." in text(other)


@pytest.mark.parametrize("verify", VERIFY)
def test_a_source_of_each_kind_is_added_and_its_page_says_what_to_paste_where(
    owner: Owner, verify: str
) -> None:
    secret = "whsec_given" if VERIFICATION_KINDS[verify].secret_from else ""
    secret = PUBLIC_KEY if verify == "ed25519" else secret
    header = "X-Signature" if VERIFICATION_KINDS[verify].has_scheme else ""
    row_id = added(owner, verify=verify, secret=secret, header=header)
    row = stored(owner, row_id)
    page = owner.page(PLACE + row_id)
    assert text(page.find(".//*[@id='its-url']")) == f"https://book.example/hooks/{row.token}"
    words = {"standard": "What to paste into the other guestbook"}
    words |= dict.fromkeys(("hmac", "ed25519", "token", "none"), "What the sender needs")
    assert part(page, "paste") == words.get(verify, f"What to paste into {VERIFICATION_KINDS[verify].title}")
    assert not row.secret or row.secret not in text(page)


def test_the_secret_that_was_made_is_shown_once_and_later_behind_the_password(owner: Owner) -> None:
    answer = owner.post(PLACE, form(owner))
    place = answer.headers["Location"].partition("?")[0]
    row = stored(owner, place.rpartition("/")[2])
    assert row.secret
    page = owner.page(answer.headers["Location"])
    assert part(page, "shown-secret") == row.secret
    names = [element.attrib["id"] for element in page.iter() if "id" in element.attrib]
    assert len(names) == len(set(names))
    assert row.secret not in owner.get(place).text
    other = Owner(owner.app)
    other.log_in()
    assert row.secret not in other.get(answer.headers["Location"]).text, "in another login"
    refused = owner.post(place + "/secret", {"password": "wrong"})
    assert (refused.status_code, row.secret in refused.text) == (422, False)
    assert row.secret in owner.post(place + "/secret", {"password": PASSWORD}).text


@pytest.mark.parametrize("verify", ["stripe", "slack", "none"])
def test_what_the_owner_has_pasted_or_what_there_is_not_is_not_shown(owner: Owner, verify: str) -> None:
    secret = "" if verify == "none" else "the one of the sender"
    answer = owner.post(PLACE, form(owner, verify=verify, secret=secret))
    assert "Its secret" not in text(owner.page(answer.headers["Location"]))


# --- secrets, states, the end


def test_a_new_secret_is_made_and_shown_once(owner: Owner) -> None:
    row_id = added(owner)
    old = stored(owner, row_id).secret
    mark = value(owner.page(PLACE + row_id), "replaces")
    sent: dict[str, object] = {"hours": "24", "replaces": mark, "secret": ""}
    page = owner.does(f"{PLACE}{row_id}/rotate", sent)
    row = stored(owner, row_id)
    assert (row.previous_secret, part(page, "shown-secret")) == (old, row.secret)
    assert "The old one is also valid until" in text(page)
    repeated = owner.does(f"{PLACE}{row_id}/rotate", sent)
    assert "so nothing was changed" in text(repeated)
    assert stored(owner, row_id).secret == row.secret


def test_the_secret_that_another_guestbook_made_is_pasted(owner: Owner) -> None:
    row_id, theirs = added(owner, verify="standard"), signing.new_secret()
    mark = value(owner.page(PLACE + row_id), "replaces")
    page = owner.does(f"{PLACE}{row_id}/rotate", {"hours": "0", "replaces": mark, "secret": f" {theirs}\n"})
    assert "The secret is rotated." in text(page)
    assert theirs not in text(page)
    assert stored(owner, row_id).secret == theirs


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"hours": "24", "secret": "not base64!"}, "The secret is not one of Standard Webhooks"),
        ({"hours": "25", "secret": ""}, "Choose how long"),
        ({}, "Choose how long"),
    ],
)
def test_a_rotation_that_is_wrong_changes_nothing(owner: Owner, sent: dict[str, str], sentence: str) -> None:
    row_id = added(owner, verify="standard")
    old = stored(owner, row_id).secret
    mark = value(owner.page(PLACE + row_id), "replaces")
    answer = owner.post(f"{PLACE}{row_id}/rotate", {"replaces": mark, **sent})
    assert answer.status_code == 422
    assert sentence in text(parse(answer))
    assert stored(owner, row_id).secret == old


def test_a_sample_is_sent_and_its_page_shows_what_becomes_of_it(app: Flask, owner: Owner) -> None:
    row_id = added(owner, action="comment")
    page = owner.page(PLACE + row_id)
    assert "the sample becomes a comment in your book" in text(page)
    options = [option.text for option in page.findall(".//select[@id='sample-event']/option")]
    assert options[:2] == ["issues.opened", "push"]
    page = owner.does(f"{PLACE}{row_id}/sample", {"event": "push"})
    assert "The sample is stored. The next pass of cron processes it like a real event." in text(page)
    assert by_class(page, "badge")
    with app.app_context():
        inbound_factories.process(app)
        [event] = factories.inbound_events()
    assert "It became a comment." in text(owner.page(f"/admin/inbox/{event.id}"))
    answer = owner.post(f"{PLACE}{row_id}/sample", {"event": "coffee"})
    assert answer.status_code == 422
    assert "There is no sample 'coffee'." in text(parse(answer))


def test_where_only_the_sender_can_sign_the_page_says_so(owner: Owner) -> None:
    row_id = added(owner, preset="discord", secret="0" * 64)
    page = owner.page(PLACE + row_id)
    assert "Let the sender send a test." in text(page)
    assert page.find(".//select[@id='sample-event']") is None
    assert owner.post(f"{PLACE}{row_id}/sample", {"event": "plain"}).status_code == 422


def test_a_source_is_disabled_and_enabled(owner: Owner) -> None:
    row_id = added(owner)
    assert "The source is disabled." in text(owner.does(f"{PLACE}{row_id}/disable"))
    assert stored(owner, row_id).disabled_at
    assert "The source is enabled." in text(owner.does(f"{PLACE}{row_id}/enable"))
    assert stored(owner, row_id).disabled_at is None


def test_its_page_shows_what_came_lately(app: Flask, owner: Owner) -> None:
    row_id = added(owner)
    issue(app, row_id, status="failed", error="It is odd.", event="issues.opened", sender="ada")
    issue(app, added(owner, name="Another"), event="another source’s")
    [row] = owner.page(PLACE + row_id).findall(".//tbody/tr")
    assert [" ".join(text(cell).split()) for cell in row] == [
        *("issues.opened", "failed", "just now", "ada", "It is odd.")
    ]
    link = row.find(".//a")
    assert link is not None
    assert owner.get(link.attrib["href"]).status_code == 200


def test_a_source_is_deleted_after_saying_what_goes_with_it(app: Flask, owner: Owner) -> None:
    row_id = added(owner, name="Robot <b>")
    for _ in range(3):
        issue(app, row_id)
    kept = issue(app, added(owner))
    assert "This also deletes its 3 events" in " ".join(text(owner.page(f"{PLACE}{row_id}/delete")).split())
    page = owner.does(f"{PLACE}{row_id}/delete")
    assert "“Robot <b>” was deleted with 3 events." in text(page)
    assert owner.post(f"{PLACE}{row_id}/delete").status_code == 404
    with app.app_context():
        assert [event.id for event in factories.inbound_events()] == [kept]


def test_what_is_not_there_is_not_found(owner: Owner) -> None:
    key = {"csrf_token": owner.key(), "password": "x", "hours": "24", "name": "Robot", "verify": "none"}
    for row_id in (UNKNOWN, "x", "F" * 32, "0" * 31, "%00", UNKNOWN + "%0A"):
        for page in ("", "/edit", "/secret", "/delete"):
            assert owner.get(PLACE + row_id + page).status_code == 404, (row_id, page)
        for action in ("", "/preview", "/enable", "/disable", "/rotate", "/secret", "/delete"):
            assert owner.open("POST", PLACE + row_id + action, data=key).status_code == 404, (row_id, action)


def test_hostile_names_templates_and_events_are_inert_on_every_page(app: Flask, owner: Owner) -> None:
    with app.app_context():
        row_id = factories.source(
            name=HOSTILE[:80], verify="token", secret="x", header="<b>", action="comment",
            template="</textarea><img src=x>{{ payload }}",
        )  # fmt: skip
        said = {"event": HOSTILE, "sender": HOSTILE, "error": HOSTILE + "\u202e"}
        factories.inbound(row_id, status="failed", payload=json.dumps({"a": HOSTILE}), **said)
    answers = [owner.get(PLACE), *(owner.get(PLACE + row_id + page) for page in ("", "/edit", "/secret"))]
    typed = form(owner, name=HOSTILE[:80], action="comment", template="{{ payload.a }}</textarea><b>")
    answers += [owner.get(f"{PLACE}{row_id}/delete"), owner.post(f"{PLACE}{row_id}/preview", typed)]
    for answer in answers:
        page = parse(answer)
        [script] = page.iter("script")
        assert script.attrib["src"].startswith("/static/admin.js?")
        assert page.find(".//img[@src='x']") is None
        assert page.find(".//main//b") is None
        assert "\u202e" not in answer.text
        assert HOSTILE[:80] in text(page)
        assert 9 * "x" not in text(page.find(".//main"))


def test_every_database_takes_it(each_app: Flask) -> None:
    owner = Owner(each_app)
    owner.log_in()
    row_id = added(owner, name="Größe 🎉", action="comment")
    issue(each_app, row_id)
    assert "One event waits for the next pass." in text(owner.page(PLACE))
    assert by_class(parse(owner.post(f"{PLACE}{row_id}/preview", form(owner, action="comment"))), "message")
    assert "was deleted with 1 event." in text(owner.does(f"{PLACE}{row_id}/delete"))


def test_two_clicks_at_the_same_moment_are_one_on_every_database(each_app: Flask) -> None:
    owner = Owner(each_app)
    owner.log_in()
    first, second = at_once(owner, PLACE, form(owner))
    assert first == second
    row_id = first.rpartition("/")[2]
    old = stored(owner, row_id).secret
    at_once(owner, first + "/rotate", {"hours": "24", "replaces": value(owner.page(first), "replaces")})
    assert stored(owner, row_id).previous_secret == old


@pytest.mark.parametrize("kind", VERIFICATION_KINDS.values(), ids=VERIFICATION_KINDS)
def test_a_kind_needs_no_setup_text_of_its_own(app: Flask, kind: VerificationKind) -> None:
    with app.test_request_context():
        setup = get_template_attribute("admin/_sender_setup.html", "for_other")
        shown = setup(Source(id="1" * 32), "https://book.example/hooks/x", kind)
    assert f"What to paste into {kind.title}" in shown
    assert "https://book.example/hooks/x" in shown
    assert kind.secret_from in shown
