"""The sources in the admin pages: all that a person does with them, in a browser without scripts."""

import json

import pytest
from flask import Flask, render_template

from guestbook.lib.verification.kinds import VERIFICATION_KINDS, VerificationKind
from guestbook.storage.models import Source
from guestbook.storage.models.source import VERIFY
from tests.support import factories, inbound_factories
from tests.support.owner import Owner
from tests.support.source_pages import PLACE, added, form, issue, stored
from tests.support.visitor import attributes, by_class, hrefs, plain, text
from tests.support.webhook_pages import part

PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
HOSTILE = "</title><script>alert(1)</script>{{9*'x'}}\"'><img src=x onerror=alert(1)> مرحبا"


def test_the_list_tells_how_each_is_doing(owner: Owner) -> None:
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
def test_a_source_of_each_kind_says_what_to_paste_where(owner: Owner, verify: str) -> None:
    secret = "whsec_given" if VERIFICATION_KINDS[verify].secret_from else ""
    secret = PUBLIC_KEY if verify == "ed25519" else secret
    header = "X-Signature" if VERIFICATION_KINDS[verify].has_scheme else ""
    row_id = added(owner, verify=verify, secret=secret, header=header)
    row = stored(row_id)
    page = owner.page(PLACE + row_id)
    assert text(page.find(".//*[@id='its-url']")) == f"https://book.example/hooks/{row.token}"
    words = {"standard": "What to paste into the other guestbook"}
    words |= dict.fromkeys(("hmac", "ed25519", "token", "none"), "What the sender needs")
    assert part(page, "paste") == words.get(verify, f"What to paste into {VERIFICATION_KINDS[verify].title}")
    assert not row.secret or row.secret not in text(page)


@pytest.mark.parametrize("verify", ["stripe", "slack", "none"])
def test_what_the_owner_has_pasted_or_what_there_is_not_is_not_shown(owner: Owner, verify: str) -> None:
    secret = "" if verify == "none" else "the one of the sender"
    page = owner.does(PLACE, form(owner, verify=verify, secret=secret))
    assert page.find(".//*[@id='shown-secret']") is None


# --- secrets, states, the end


def test_a_sample_is_sent_and_its_page_shows_what_becomes_of_it(owner: Owner) -> None:
    row_id = added(owner, action="comment")
    page = owner.page(PLACE + row_id)
    assert "the sample becomes a comment in your book" in text(page)
    options = [option.text for option in page.findall(".//select[@id='event']/option")]
    assert options[:2] == ["issues.opened", "push"]
    page = owner.does(f"{PLACE}{row_id}/sample", {"event": "push"})
    assert "The sample is stored. The next pass of cron processes it like a real event." in text(page)
    assert by_class(page, "badge")
    inbound_factories.process()
    [event] = factories.inbound_events()
    assert "It became a comment." in text(owner.page(f"/admin/inbox/{event.id}"))
    page = owner.refused(f"{PLACE}{row_id}/sample", {"event": "coffee"})
    assert "There is no sample 'coffee'." in text(page)
    assert "Event: There is no sample" in text(page)
    described = attributes(page, ".//select[@id='event']")["aria-describedby"]
    assert described.split() == ["event-reason"]


def test_where_only_the_sender_can_sign_the_page_says_so(owner: Owner) -> None:
    row_id = added(owner, preset="discord", secret="0" * 64)
    page = owner.page(PLACE + row_id)
    assert "Let the sender send a test." in text(page)
    assert page.find(".//select[@id='event']") is None
    assert owner.post(f"{PLACE}{row_id}/sample", {"event": "plain"}).status_code == 422


def test_its_page_shows_what_came_lately(owner: Owner) -> None:
    row_id = added(owner)
    issue(row_id, status="failed", error="It is odd.", event="issues.opened", sender="ada")
    issue(added(owner, name="Another"), event="another source’s")
    [row] = owner.page(PLACE + row_id).findall(".//tbody/tr")
    assert [plain(cell) for cell in row] == [*("issues.opened", "failed", "just now", "ada", "It is odd.")]
    assert owner.get(hrefs(row)[0]).status_code == 200


def test_hostile_names_templates_and_events_are_inert_on_every_page(owner: Owner) -> None:
    foul = {"name": HOSTILE[:80], "header": "<b>", "template": "</textarea><img src=x>{{ payload }}"}
    row_id = factories.source(verify="token", secret="x", action="comment", **foul)
    said = {"event": HOSTILE, "sender": HOSTILE, "error": HOSTILE + "\u202e"}
    factories.inbound(row_id, status="failed", payload=json.dumps({"a": HOSTILE}), **said)
    answers = [owner.get(PLACE), *(owner.get(PLACE + row_id + page) for page in ("", "/edit", "/secret"))]
    typed = form(owner, name=HOSTILE[:80], action="comment", template="{{ payload.a }}</textarea><b>")
    answers += [owner.get(f"{PLACE}{row_id}/delete"), owner.post(f"{PLACE}{row_id}/preview", typed)]
    for answer in answers:
        seen = owner.inert(answer)
        assert HOSTILE[:80] in seen
        assert "\u202e" not in seen
        assert 9 * "x" not in seen


@pytest.mark.parametrize("kind", VERIFICATION_KINDS.values(), ids=VERIFICATION_KINDS)
def test_a_kind_needs_no_setup_text_of_its_own(app: Flask, kind: VerificationKind) -> None:
    with app.test_request_context():
        source, url = Source(id="1" * 32, verify="new"), "https://book.example/hooks/x"
        shown = render_template("admin/_sender_setup.html", source=source, url=url, verification=kind)
    assert f"What to paste into {kind.title}" in shown
    assert "https://book.example/hooks/x" in shown
    assert kind.secret_from in shown
