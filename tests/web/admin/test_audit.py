"""The page of the audit log: what the owner did here, filters, pages."""

from datetime import timedelta

from flask import Flask

from guestbook.lib import clock, ids
from guestbook.storage.database import db, write
from guestbook.storage.models import AUDIT_LOG
from tests.support.owner import PASSWORD, Owner
from tests.support.visitor import plain, text

PAGE = "/admin/audit/"


def rows(owner: Owner, query: str = "") -> list[list[str]]:
    """The cells of the list, in one line each."""
    lines = owner.page(PAGE + query).findall(".//tbody/tr")
    return [[plain(cell) for cell in line] for line in lines]


def whats(owner: Owner, query: str = "") -> list[str]:
    return [row[0] for row in rows(owner, query)]


def fill(app: Flask, count: int) -> None:
    now = clock.now()
    with app.app_context(), write(db.engine) as connection:
        for number in range(count):
            at = now - timedelta(minutes=number)
            made = ids.first_of(at)[:12] + ids.new()[12:]
            entry = {"actor": "command", "actor_name": "bins add", "action": "added", "object": "bin"}
            row = {"id": made, "at": at, "number": 1, "object_name": f"b{number}", **entry}
            connection.execute(AUDIT_LOG.insert().values(row))


def test_the_account_leads_to_it_and_it_begins_with_the_login(owner: Owner) -> None:
    links = {one.attrib["href"] for one in owner.page("/admin/account/").findall(".//main//a")}
    assert PAGE in links
    assert whats(owner) == ["logged in: login"]


def test_it_says_what_the_owner_did_and_with_which_browser(app: Flask, hook: str) -> None:
    owner = Owner(app)
    firefox = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}
    assert owner.log_in("wrong").status_code == 422
    assert owner.log_in(headers=firefox).status_code == 303
    assert owner.post(f"/admin/webhooks/{hook}/disable").status_code == 303
    assert owner.post(f"/admin/webhooks/{hook}/enable").status_code == 303
    assert owner.post(f"/admin/webhooks/{hook}/secret", {"password": PASSWORD}).status_code == 200
    assert owner.post(f"/admin/webhooks/{hook}/delete").status_code == 303
    form: dict[str, object] = {"action": "show", "address_password": PASSWORD}
    assert owner.post("/admin/account/cron-address", form).status_code == 200
    assert owner.post("/admin/embed/", {"embed_sites": "https://example.org"}).status_code == 303
    assert [row[:2] + row[3:] for row in rows(owner)] == [
        ["changed: settings", "Firefox on Linux", "embed_sites"],
        ["added: cron address", "Firefox on Linux", "–"],
        ["deleted: webhook Chat", "Firefox on Linux", "–"],
        ["revealed: webhook Chat", "Firefox on Linux", "secret"],
        ["enabled: webhook Chat", "Firefox on Linux", "–"],
        ["disabled: webhook Chat", "Firefox on Linux", "–"],
        ["logged in: login", "Firefox on Linux", "–"],
        ["failed: password", "somebody not logged in", "–"],
    ]


def test_undoing_is_in_it_too(owner: Owner, hook: str) -> None:
    page = owner.does(f"/admin/webhooks/{hook}/disable")
    [form] = [one for one in page.findall(".//form") if one.attrib["action"] == "/admin/undo/"]
    sent = {one.attrib["name"]: one.attrib["value"] for one in form.findall("input")}
    assert owner.open("POST", "/admin/undo/", data=sent).status_code == 303
    assert whats(owner)[:2] == ["enabled: webhook Chat", "disabled: webhook Chat"]


def test_it_is_filtered_by_action_and_by_actor(app: Flask, owner: Owner) -> None:
    choices = owner.page(PAGE).findall(".//select[@name='actor']/option")
    assert [text(one) for one in choices[:3]] == ["everybody", "these pages", "an API token"]
    fill(app, 2)
    assert whats(owner, "?actor=admin") == ["logged in: login"]
    assert whats(owner, "?action=added") == ["added: bin b0", "added: bin b1"]
    assert whats(owner, "?action=added&actor=admin") == []
    assert len(whats(owner, "?action=&actor=")) == 3
    for query in ("?action=%00&actor=é", "?action=nothing", "?actor=' OR 1=1 --"):
        assert len(whats(owner, query)) == 3


def test_older_entries_are_on_further_pages(app: Flask, owner: Owner) -> None:
    fill(app, 120)
    seen: list[str] = []
    url: str | None = f"{PAGE}?actor=command"
    while url:
        page = owner.page(url)
        seen += [text(one) for one in page.findall(".//tbody/tr/th/bdi")]
        url = next((one.attrib["href"] for one in page.findall(".//a[@rel='next']")), None)
    assert seen == [f"b{number}" for number in range(120)]
    assert owner.get(f"{PAGE}?before=x").status_code == 404


def test_names_are_inert(app: Flask, owner: Owner) -> None:
    name = "<script>alert(1)</script>"
    entry = {"actor": "token", "actor_name": name, "object_name": name, "detail": name, "number": 2}
    with app.app_context(), write(db.engine) as connection:
        added = AUDIT_LOG.insert().values(id=ids.new(), at=clock.now(), action="added", object="bin", **entry)
        connection.execute(added)
    assert name in owner.inert(PAGE)
