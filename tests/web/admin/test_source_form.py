"""The form of a source: what it takes and refuses, and what ready-made templates and senders fill in."""

import pytest

from guestbook.inbound.sender_presets import PRESETS, SCHEME_DEFAULTS, SENDER_PRESETS
from guestbook.lib import signatures
from guestbook.web.admin.sources import PRESET_NAMES
from tests.support import factories
from tests.support.owner import Owner
from tests.support.source_pages import PLACE, added, form, issue, stored
from tests.support.visitor import attributes, by_class, parse, text
from tests.support.webhook_pages import part, value

PUBLIC_KEY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SENDERS = {"guestbook": "standard", "gitea": "hmac", "shopify": "hmac", "gitlab": "token"}
SENDERS |= {"discord": "ed25519"}


def test_what_is_wrong_is_said_and_what_was_typed_stays(owner: Owner) -> None:
    typed = {"name": "", "verify": "standard", "secret": "é", "action": "comment", "template": "{{ x"}
    page = owner.refused(PLACE, form(owner, **typed))
    for name in ("name", "secret", "template"):
        assert page.find(f".//*[@id='{name}-reason']") is not None, name
    assert value(page, "template").strip() == "{{ x"
    assert value(page, "secret") == "é"
    ticked = [box.attrib["value"] for box in page.iter("input") if "checked" in box.attrib]
    assert ticked == ["standard", "comment"]


def test_what_does_not_matter_for_the_choices_is_left_out(owner: Owner) -> None:
    row_id = added(owner, verify="none", secret="x", header="X Y", template="{{", relayed="on")
    row = stored(row_id)
    assert (row.secret, row.header, row.template, row.relayed_since) == (None, None, None, None)


@pytest.mark.parametrize("sent", [{}, {"verify": "x"}, {"verify": "github", "action": "\udfff"}])
def test_a_form_with_holes_is_refused(owner: Owner, sent: dict[str, str]) -> None:
    encoded = {name: word.encode(errors="surrogatepass") for name, word in sent.items()}
    assert owner.post(PLACE, {"name": "Robot", **encoded}).status_code == 422


def test_a_source_is_changed(owner: Owner) -> None:
    row_id = added(owner)
    before = stored(row_id)
    sent = form(owner, name="Other", action="comment", ready="github-star", relayed="on")
    assert "The source is changed." in text(owner.does(PLACE + row_id, sent))
    row = stored(row_id)
    assert (row.name, row.secret, row.template) == ("Other", before.secret, PRESETS["github-star"])
    page = owner.page(f"{PLACE}{row_id}/edit")
    assert value(page, "template").strip() == PRESETS["github-star"].strip()
    assert value(page, "secret") == ""
    assert "checked" in attributes(page, ".//input[@name='relayed']")
    assert "the preset github-star" in text(owner.page(PLACE + row_id))


def test_the_budget_of_unverified_events_is_shown_and_changed(owner: Owner) -> None:
    row_id = added(owner)
    assert "0.0 of 50 MB" in text(owner.page(PLACE + row_id))
    owner.does(PLACE + row_id, form(owner, budget_mb="20"))
    assert value(owner.page(f"{PLACE}{row_id}/edit"), "budget_mb") == "20"
    page = owner.refused(PLACE + row_id, form(owner, budget_mb="1001"))
    assert "from 2 to 1,000" in text(page)
    assert stored(row_id).budget_mb == 20


def test_another_way_to_verify_shows_its_new_secret(owner: Owner) -> None:
    row_id = added(owner)
    page = owner.does(PLACE + row_id, form(owner, verify="standard"))
    secret = stored(row_id).secret
    assert len(signatures.key_of(secret or "")) == 32
    assert part(page, "shown-secret") == secret


# --- templates


def test_every_preset_can_be_chosen_and_has_a_name(owner: Owner) -> None:
    assert set(PRESET_NAMES) == set(PRESETS)
    options = owner.page(PLACE + "new").findall(".//select[@id='ready']/option")
    assert [option.attrib["value"] for option in options] == ["", *PRESETS]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_put_into_the_field_and_tried_over_a_sample(owner: Owner, name: str) -> None:
    verify = name.partition("-")[0] if name != "plain" else "none"
    sent = form(owner, verify=SENDERS.get(verify, verify), action="comment", ready=name, fill="1")
    page = parse(owner.post(PLACE + "preview", sent))
    assert value(page, "template").strip() == PRESETS[name].strip()
    assert by_class(page, "message"), "the sample becomes a comment"
    assert "Made from a sample, because nothing has come yet." in text(page)
    assert owner.page(PLACE).findall(".//tbody/tr") == [], "nothing is saved"


def test_a_preview_shows_the_comment_that_the_newest_event_would_become(owner: Owner) -> None:
    row_id = added(owner, action="comment")
    issue(row_id, event="issues.opened")
    # a ping becomes nothing, so the one before it is shown
    factories.inbound(row_id, headers={"x-github-event": "ping"})
    typed = "{% set website = 'javascript:alert(1)' %}{{ payload.issue.title }} <b>{{ 7 * 7 }}"
    answer = owner.post(f"{PLACE}{row_id}/preview", form(owner, action="comment", template=typed))
    page = parse(answer)
    assert text(by_class(page, "message")[0]) == "It rains in <b>49"
    assert "Made from issues.opened that came just now." in text(page)
    assert "javascript" not in text(by_class(page, "comment-box")[0])
    assert value(page, "template") == typed
    row = stored(row_id)
    assert (row.template, row.name) == (PRESETS["github"], "Robot")
    assert [event.status for event in factories.inbound_events()] == ["new", "new"]


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{ payload.nothing.there }}", "The template asks for what this event does not have"),
        ("{% for a in [1,2,3] %}{% endfor %}", "The template gave no text, so there is no comment."),
        ("{{ ''.__class__.__mro__ }}", "The template asks for what templates cannot reach."),
    ],
)
def test_a_preview_may_say_why_not(owner: Owner, template: str, sentence: str) -> None:
    row_id = added(owner, action="comment")
    issue(row_id)
    answer = owner.post(f"{PLACE}{row_id}/preview", form(owner, action="comment", template=template))
    assert sentence in part(parse(answer), "preview")


def test_ones_own_template_is_not_replaced_unasked(owner: Owner) -> None:
    mine = {"action": "comment", "ready": "github", "template": "{{ payload.mine }}"}
    for place in (PLACE, PLACE + "preview"):
        answer = owner.post(place, form(owner, **mine))
        assert answer.status_code == 422
        assert "You chose a preset" in part(parse(answer), "template-reason")
    page = parse(owner.post(PLACE + "preview", form(owner, **mine, fill="1")))
    assert value(page, "template").strip() == PRESETS["github"].strip()


# --- known senders


@pytest.mark.parametrize("name", SENDER_PRESETS)
def test_a_known_sender_is_filled_in_and_saved(owner: Owner, name: str) -> None:
    preset = SENDER_PRESETS[name]
    page = parse(owner.post(PLACE + "preview", form(owner, preset=name, fill="sender")))
    ticked = page.findall(".//input[@name='verify'][@checked]")
    assert [box.attrib["value"] for box in ticked] == [preset.verify]
    assert value(page, "header") == preset.header
    assert f"Filled in for {preset.title}." in text(page)
    assert preset.secret_from in text(page)
    assert page.findall(".//select[@id='preset']/option[@selected]") == []
    secret = PUBLIC_KEY if preset.verify == "ed25519" else "whsec_dGhlIHNlY3JldA=="
    row = stored(added(owner, preset=name, secret=secret))
    assert (row.verify, row.header or "") == (preset.verify, preset.header)
    assert {**(row.scheme or {}), **preset.scheme} == (row.scheme or {})


def test_how_a_sender_signs_is_typed_and_what_is_wrong_is_said(owner: Owner) -> None:
    typed = {"verify": "hmac", "header": "X-Sig", "hash": "sha1", "encoding": "base64", "prefix": "v="}
    row = stored(added(owner, **typed))
    assert row.scheme == {**SCHEME_DEFAULTS, "hash": "sha1", "encoding": "base64", "prefix": "v="}
    assert "HMAC-SHA1 of {body}, in base64 after v=" in text(owner.page(PLACE + row.id))
    page = owner.page(f"{PLACE}{row.id}/edit")
    chosen = [box.attrib["value"] for box in page.findall(".//select/option[@selected]")]
    assert chosen == ["sha1", "base64", "{body}"]
    wrong = {"hash": "md5", "encoding": "x", "prefix": "é", "tolerance": "soon", "content": "x"}
    wrong |= {"timestamp_header": "a b"}
    page = owner.refused(PLACE + row.id, form(owner, **typed | wrong))
    for name in wrong:
        assert page.find(f".//*[@id='{name}-reason']") is not None, name


def test_large_payloads_are_forwarded_if_the_owner_wants_it(owner: Owner) -> None:
    row_id = added(owner, action="forward", forwarded_in_full="on")
    assert "forwarded in full" in text(owner.page(PLACE + row_id))
    assert "checked" in attributes(owner.page(f"{PLACE}{row_id}/edit"), ".//input[@name='forwarded_in_full']")
    owner.does(PLACE + row_id, form(owner, action="forward"))
    assert stored(row_id).forwarded_in_full_since is None


def test_a_pasted_request_names_the_senders_that_fit_and_chooses_the_first(owner: Owner) -> None:
    sent = {"request": "Content-Type: text/plain\nX-Gitea-Signature: 00\nX-Hub-Signature-256: sha256=00"}
    page = parse(owner.post(PLACE + "preview", form(owner, **sent, fill="request")))
    assert "This request fits GitHub, Gitea or Forgejo." in text(page)
    assert attributes(page, ".//select[@name='preset']/option[@selected]")["value"] == "github"
    assert "X-Gitea-Signature: 00" in part(page, "request")


def test_a_pasted_request_that_no_sender_fits_is_said_to_be_so(owner: Owner) -> None:
    page = owner.refused(PLACE + "preview", form(owner, request="Hello", name="Kept", fill="request"))
    assert "No preset fits this request." in part(page, "request-reason")
    assert value(page, "name") == "Kept"


@pytest.mark.parametrize("action", ["log", "comment"])
def test_a_condition_is_tried_with_the_latest_events(owner: Owner, action: str) -> None:
    row_id = added(
        owner, action=action, event_condition='event == "push"', template="{{ payload.issue.title }}"
    )
    assert stored(row_id).event_condition == 'event == "push"'
    issue(row_id, event="issues.opened")
    for condition, said in {
        'event == "push"': "Not wanted: the condition is false.",
        'event == "issues"': "It becomes a comment." if action == "comment" else "Logged.",
    }.items():
        sent = form(owner, action=action, event_condition=condition, template="{{ payload.issue.title }}")
        page = parse(owner.post(f"{PLACE}{row_id}/preview", sent))
        assert ("issues.opened that came" in text(page), f": {said}" in text(page)) == (True, True), text(
            page
        )
        assert value(page, "event_condition") == condition
    refused = owner.post(f"{PLACE}{row_id}/preview", form(owner, event_condition="event =="))
    assert (refused.status_code, "Line 1 of the condition" in refused.text) == (422, True)
    assert "event == &#34;push&#34;" in owner.get(PLACE + row_id).text
