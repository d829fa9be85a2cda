"""Presets that rebuild a static site: each fills in the form, and sends what its host wants."""

import json

import pytest

from guestbook.outbound import formats, payload_versions, webhook_urls
from guestbook.outbound.event_catalogue import EVENTS, SAMPLE_TIME
from guestbook.outbound.formats import FormatInput, bodies
from guestbook.outbound.webhook_urls import REBUILD_EVENTS, REBUILD_PRESETS
from tests.support.owner import Owner
from tests.support.visitor import by_class, fields, hrefs, parse, text
from tests.support.webhook_pages import PLACE, added, form, stored, ticked

PAYLOAD = {"event": "comment.published", "guestbook": "https://book.example"}
WANTED = {
    "github": {"event_type": "guestbook", "client_payload": PAYLOAD},
    **{"netlify": {}, "cloudflare": {}, "forgejo": {"ref": "main"}},
}


@pytest.mark.parametrize("name", REBUILD_PRESETS)
def test_each_sends_the_body_that_its_host_wants(name: str) -> None:
    preset = REBUILD_PRESETS[name]
    bodies.check_template(preset.template, REBUILD_EVENTS, payload_versions.newest())
    for event in ("comment.published", "ping"):
        given = FormatInput(event, SAMPLE_TIME, EVENTS[event].sample_data(), template=preset.template)
        wanted = json.dumps(WANTED[name]).replace("comment.published", event)
        assert json.loads(formats.render("template", given)) == json.loads(wanted)


@pytest.mark.parametrize("name", REBUILD_PRESETS)
def test_each_fills_in_the_form_and_stays_to_be_completed(owner: Owner, name: str) -> None:
    preset = REBUILD_PRESETS[name]
    page = parse(owner.post(PLACE + "preview", form(owner, url="", preset=name, fill="1")))
    filled = fields(page)
    assert filled["url"] == preset.url
    assert filled["headers"].strip().splitlines() == list(preset.headers)
    assert filled["template"].strip() == preset.template.strip()
    assert ticked(page) == list(REBUILD_EVENTS)
    assert f"filled in for {preset.title}" in text(by_class(page, "success")[0])
    chosen = [one.attrib["value"] for one in page.findall(".//*[@id='format']/option[@selected]")]
    assert chosen == ["template"]


def complete(name: str) -> dict[str, object]:
    preset = REBUILD_PRESETS[name]
    yours = {"OWNER/REPOSITORY": "ada/site", "YOUR_TOKEN": "geheim", "YOUR_HOOK": "abc123"}
    url, headers = preset.url, "\n".join(preset.headers)
    for placeholder, mine in yours.items():
        url, headers = url.replace(placeholder, mine), headers.replace(placeholder, mine)
    filled = {"url": url, "headers": headers, "template": preset.template}
    return {**filled, "format": "template", "events": list(REBUILD_EVENTS)}


@pytest.mark.parametrize("name", REBUILD_PRESETS)
def test_a_completed_one_is_added(owner: Owner, name: str) -> None:
    row = stored(added(owner, **complete(name)))
    assert (row.url, row.format, row.events) == (complete(name)["url"], "template", " ".join(REBUILD_EVENTS))
    headers = [f"{header}: {given}" for header, given in row.headers.items()]
    assert headers == str(complete(name)["headers"]).splitlines()


@pytest.mark.parametrize(
    ("wrong", "field", "sentence"),
    [
        ({"url": REBUILD_PRESETS["github"].url}, "url", "in place of OWNER/REPOSITORY"),
        ({"headers": "Authorization: token YOUR_TOKEN"}, "headers", "in place of YOUR_TOKEN"),
        ({"preset": "github"}, "preset", "Press “Use preset” first"),
    ],
)
def test_incomplete_ones_are_refused(
    owner: Owner, wrong: dict[str, object], field: str, sentence: str
) -> None:
    page = owner.refused(PLACE, form(owner, **(complete("github") | wrong)), on=PLACE + "new")
    reasons = [text(reason) for reason in by_class(page, "reason")]
    assert [one for one in reasons if sentence in one]
    assert hrefs(by_class(page, "summary")[0]) == [f"#{field}"]


def test_what_is_typed_already_stays_and_an_unknown_preset_is_none(owner: Owner) -> None:
    mine = form(owner, url="https://git.example/hook", headers="X-A: 1", preset="forgejo", fill="1")
    filled = fields(parse(owner.post(PLACE + "preview", mine, on=PLACE + "new")))
    assert (filled["url"], filled["headers"].strip()) == ("https://git.example/hook", "X-A: 1")
    odd = form(owner, preset="<b>", fill="1")
    assert owner.post(PLACE + "preview", odd, on=PLACE + "new").status_code == 200
    assert webhook_urls.placeholder_in("a", "b") is None
