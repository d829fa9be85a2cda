"""What signs a webhook's requests, on the admin pages: given secrets, key pairs, GitHub's headers."""

import re
from datetime import timedelta
from xml.etree.ElementTree import Element

import pytest

from guestbook.lib import signatures
from guestbook.storage.models import Webhook
from tests.support.owner import PASSWORD, Owner
from tests.support.visitor import parse, plain, text
from tests.support.webhook_pages import PLACE, added, form, part, stored
from tests.web.conftest import Later

TEXT = "It's a Secret to Everybody"


def chosen(page: Element, name: str) -> str:
    options = page.findall(f".//select[@name='{name}']/option")
    return next(option.attrib["value"] for option in options if "selected" in option.attrib)


def test_a_secret_that_the_receiver_has_is_taken_and_not_shown(owner: Owner) -> None:
    answer = owner.post(PLACE, form(owner, secret=f" {TEXT}\u200b "))
    page = owner.page(answer.headers["Location"])
    row_id = answer.headers["Location"].partition("?")[0].rpartition("/")[2]
    assert stored(row_id).secret == TEXT
    assert "The webhook is added with your secret." in text(page)
    assert TEXT not in text(page)
    assert page.find(".//*[@id='shown-secret']") is None


def test_a_key_whose_public_half_the_receiver_has_is_taken_and_not_shown(owner: Owner) -> None:
    key = signatures.new_key()
    answer = owner.post(PLACE, form(owner, signing_key=key, sign_with="key"))
    page = owner.page(answer.headers["Location"])
    assert "The webhook is added with your key." in text(page)
    assert signatures.public_key(key) in text(page)
    assert "whsk_" not in text(page)
    page = owner.refused(PLACE, form(owner, signing_key="whsk_x", sign_with="key"))
    assert part(page, "signing_key-reason").startswith("The signing key must be whsk_")


def test_the_page_of_a_secret_that_is_a_text_shows_its_form_for_packages(owner: Owner) -> None:
    row_id = added(owner, secret=TEXT)
    page = parse(owner.post(f"{PLACE}{row_id}/secret", {"password": PASSWORD}))
    assert f"Packages of Standard Webhooks take it as {signatures.standard_form(TEXT)}" in plain(page)
    other = parse(owner.post(f"{PLACE}{added(owner)}/secret", {"password": PASSWORD}))
    assert "Packages" not in text(other)


@pytest.mark.parametrize(("sign_with", "words"), [("key", "the key"), ("both", "the secret and the key")])
def test_a_webhook_with_a_key_shows_its_public_key(owner: Owner, sign_with: str, words: str) -> None:
    answer = owner.post(PLACE, form(owner, sign_with=sign_with))
    row_id = answer.headers["Location"].partition("?")[0].rpartition("/")[2]
    row, page = stored(row_id), owner.page(answer.headers["Location"])
    assert row.sign_with == sign_with
    assert text(page.find(".//code[@id='public-key']")) == row.public_key
    assert f"Signed with {words} Public key" in re.sub(r"\s+", " ", " ".join(page.itertext()))
    assert (page.find(".//code[@id='shown-secret']") is None) == (sign_with == "key")
    assert "whsk_" not in owner.get(PLACE + row_id).text


def test_the_form_changes_what_signs_and_keeps_what_it_does_not_name(owner: Owner) -> None:
    page = owner.page(PLACE + "new")
    assert (chosen(page, "sign_with"), chosen(page, "github_headers")) == ("secret", "no")
    row_id = added(owner, sign_with="both", github_headers="yes")
    page = owner.page(f"{PLACE}{row_id}/edit")
    assert (chosen(page, "sign_with"), chosen(page, "github_headers")) == ("both", "yes")
    assert page.find(".//input[@name='secret']") is None, "only a rotation changes it"
    key = stored(row_id).signing_key
    owner.does(PLACE + row_id, form(owner, name="n"))
    row = stored(row_id)
    assert (row.signing_key, row.github_headers_since is None) == (key, False)
    owner.does(PLACE + row_id, form(owner, name="n", sign_with="secret", github_headers="no"))
    row = stored(row_id)
    assert (row.sign_with, row.signing_key, row.github_headers_since) == ("secret", None, None)


# --- rotation


def rotated(owner: Owner, row: Webhook, name: str, **typed: str) -> Element:
    page = owner.page(PLACE + row.id)
    [form_of] = [one for one in page.iter("form") if one.attrib["action"].endswith(name)]
    [replaces] = [one for one in form_of.iter("input") if one.attrib["name"] == "replaces"]
    sent = {"hours": "24", "replaces": replaces.attrib["value"], **typed}
    return owner.does(f"{PLACE}{row.id}/{name}", sent)


def test_a_key_is_rotated_once_by_two_clicks(owner: Owner, later: Later) -> None:
    row = stored(added(owner, sign_with="key"))
    page = rotated(owner, row, "rotate-key")
    changed = stored(row.id)
    assert (changed.previous_public_key, changed.public_key != row.public_key) == (row.public_key, True)
    assert "The key is rotated." in text(page)
    assert "The old key also signs until" in plain(page)
    assert changed.public_key
    assert changed.public_key in text(page)
    sent = {"hours": "24", "replaces": row.public_key}
    assert "The key was rotated already" in text(owner.does(f"{PLACE}{row.id}/rotate-key", sent))
    assert stored(row.id).public_key == changed.public_key
    later(timedelta(hours=25).total_seconds())
    assert "The old key also signs until" not in plain(owner.page(PLACE + row.id))
