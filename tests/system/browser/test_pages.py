"""Chromium opens every page there is, of the book and of the admin: light and wide, dark and narrow.

Pages are found by the routes, and forms by their pages, so that new ones need no word here.
"""

import pytest
from flask import Flask

from guestbook.settings import Settings
from guestbook.storage import backup, schema_version
from tests.support import factories
from tests.support.owner import PASSWORD, Owner, turn_second_factor_on
from tests.support.receiver import Receiver
from tests.system.browser import sample
from tests.system.browser.conftest import OpenContext, be_logged_in
from tests.system.browser.inspector import Inspector

pytestmark = pytest.mark.needs("chromium")

ROOMS = ("/admin/sources/", "/admin/inbox/", "/admin/bins/")
FORM_OF = {  # forms that each part must have found
    "sources, inbox and bins": {"admin.sources.add", "admin.bins.add"},
    "all other pages": {"public.sign", "admin.login.check", "admin.webhooks.add", "admin.settings.save"},
}

# What the routes do not tell, and its status; {name} is the first of the sample's rows.
MORE = {
    "/nowhere": 404,
    "/?before={comment_id}": 200,
    "/?signed={comment_id}": 200,
    "/?signed=waiting": 200,
    "/moderate/nowhere": 404,
    "/comments/{comment_id}/edit": 403,
    "/webmention/{event_id}": 404,
    "/moderate/{old_token}": 410,
    "/admin/nowhere": 404,
    "/admin/deliveries/?status=failed": 200,
    "/admin/deliveries/?status=odd&since=never": 422,
    "/admin/deliveries/?text=nowhere": 200,
    "/admin/deliveries/redeliver?failed=1": 200,
    "/admin/deliveries/redeliver?id={delivery_id}": 200,
    "/admin/inbox/?status=failed": 200,
    "/admin/inbox/?status=odd&since=never": 422,
    "/admin/inbox/reprocess?failed=1": 200,
    "/admin/inbox/reprocess?id={event_id}": 200,
    "/admin/comments/?status=all": 200,
    "/admin/comments/?words=nowhere": 200,
    "/admin/comments/{held}": 200,
    "/admin/webhooks/{webhook_id}?ping={delivery_id}": 200,
    **dict.fromkeys(sample.RECEIVER_PAGES, 200),
    "/receiver/{old_receiver_token}": 410,
    "/receiver/nowhere": 404,
}
KNOWN: list[str] = []  # kinds of elements that axe looked at in any of these tests
# Pages that by themselves say what they lack.
UNASKED = {
    "/admin/deliveries/redeliver": 422,
    "/admin/inbox/reprocess": 422,
    "/.well-known/security.txt": 404,
}


@pytest.mark.parametrize("part", ["sources, inbox and bins", "all other pages"])
def test_every_page_is_accessible_valid_and_fits(
    app: Flask, receiver: Receiver, open_to_look: OpenContext, part: str
) -> None:
    rows = sample.fill(app, receiver)
    context = open_to_look()
    inspector = Inspector(app, context.new_page(), KNOWN)
    log_in(app, inspector)
    first = {name: values[0] for name, values in rows.items()}
    more = {address.format(**first): status for address, status in MORE.items()}
    for address in [*sample.addresses(app, rows), *more]:
        if address.startswith(ROOMS) == (part == "sources, inbox and bins"):
            inspector.open(address, (more | UNASKED).get(address, 200))
    if part == "all other pages":
        inspector.send("/admin/account/", name="A robot", confirm=PASSWORD)
        inspector.send(f"/admin/webhooks/{first['webhook_id']}/secret", password=PASSWORD)
    assert FORM_OF[part] <= inspector.sent
    assert not inspector.wrong, "\n".join(inspector.wrong)


def test_the_pages_of_the_second_factor_are_too(app: Flask, open_to_look: OpenContext) -> None:
    context = open_to_look()
    inspector = Inspector(app, context.new_page(), KNOWN)
    log_in(app, inspector)
    inspector.open("/admin/account/second-factor/")
    inspector.send("/admin/account/second-factor/", password=PASSWORD)
    turn_second_factor_on(app)
    inspector.open("/admin/account/second-factor/")
    inspector.open("/admin/audit/")
    context.clear_cookies()
    inspector.send("/admin/login", password=PASSWORD)
    inspector.send("/admin/login/code", code="wrong", status=422)
    assert not inspector.wrong, "\n".join(inspector.wrong)


def test_every_page_of_an_empty_book_is_too(app: Flask, open_to_look: OpenContext) -> None:
    context = open_to_look()
    inspector = Inspector(app, context.new_page(), KNOWN)
    log_in(app, inspector)
    for address in ("/", "/admin/", "/admin/comments/", "/admin/webhooks/", "/admin/deliveries/", *ROOMS):
        inspector.open(f"{address}?empty")
    assert not inspector.wrong, "\n".join(inspector.wrong)


def test_the_first_steps_of_a_book_are_too(app: Flask, open_to_look: OpenContext) -> None:
    Owner(app).be_logged_in().does("/admin/welcome/webhook")
    inspector = Inspector(app, open_to_look().new_page(), KNOWN)
    log_in(app, inspector)
    for step in ("webhook", "comments", "website"):
        inspector.open(f"/admin/welcome/?step={step}")
    inspector.send("/admin/welcome/?step=website", embed_sites="https://example.org")
    inspector.open(f"/admin/embed/?site=https://{'long-name-' * 6}x.example")
    assert not inspector.wrong, "\n".join(inspector.wrong)


def test_the_pages_that_set_up_a_new_book_are_too(app: Flask, open_to_look: OpenContext) -> None:
    inspector = Inspector(app, open_to_look().new_page(), KNOWN)
    read: Settings = app.config["GUESTBOOK"]
    inspector.open("/admin/setup/")
    inspector.send("/admin/setup/", code="wrong", status=403)
    code = (read.data_dir / "setup-code.txt").read_text().split()[0]
    backup.write(read, read.data_dir / "book.db")
    inspector.open(f"/admin/setup/{code}")
    inspector.send(f"/admin/setup/{code}", password=" " * 10, title=" ", status=422)
    inspector.open(f"/admin/setup/{code}/room")
    factories.sql("UPDATE alembic_version SET version_num = '0024'")
    older = inspector.page.goto(f"/admin/setup/{code}")
    assert older
    inspector.look(older, "/admin/setup/… with older tables", 200)
    factories.sql(f"UPDATE alembic_version SET version_num = '{schema_version.head()}'")
    Owner(app)
    (read.data_dir / "setup-code.txt").unlink()
    inspector.open(f"/admin/setup/{code}?used", 410)
    assert not inspector.wrong, "\n".join(inspector.wrong)


def log_in(app: Flask, inspector: Inspector) -> None:
    """Look at the page that asks for the password, and be logged in then."""
    owner = Owner(app)
    inspector.open("/admin/login")
    be_logged_in(owner, inspector.page.context, inspector.page.url)
