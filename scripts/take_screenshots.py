"""Pictures of the pages for the documents: a sample book is filled and served, and Chromium looks at it."""

import random
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from flask import Flask
from playwright.sync_api import sync_playwright

from guestbook.comments import comment_actions
from guestbook.lib import clock, ids
from guestbook.storage.database import writing
from guestbook.storage.models import Comment
from tests.conftest import running, settings_for
from tests.support import factories, servers, site
from tests.support.owner import PASSWORD, Owner

DOCS = Path(__file__).parents[1] / "docs"
PICTURES = {"guestbook": ("/", 1280, 1270), "admin": ("/admin/", 1200, 745)}  # path, width and height
COMMENTS = (
    (
        "Tom & Edie",
        "tomandedie.example",
        "We tried the bread. It rose!\nThen it fell.\nThen we ate it anyway.",
    ),
    ("ليلى", None, "شكراً على هذا الموقع الجميل. سأعود قريباً لقراءة المزيد."),
    (
        "Rosalind",
        None,
        "I read the whole archive on a rainy Sunday with the cat on my lap. The story about the lighthouse"
        " keeper’s bicycle made me laugh out loud twice. Please write more of those.",
    ),
    (
        "Hannes Brückner",
        "bruecknerorgel.example",
        "Bin über die Orgelseite hierher geraten und hängen geblieben. Endlich wieder ein richtiges"
        " Gästebuch!\n\nViele Grüße aus Görlitz",
    ),
    ("Mo", "mo.example", "Found you through a footnote. Stayed for the soup."),
)


def take(folder: Path) -> None:
    """Fill a book in a temporary folder, serve it, and write a picture of each page."""
    with tempfile.TemporaryDirectory() as place, site.reserved_port() as listening:
        environ = settings_for(Path(place), f"sqlite:///{place}/guestbook.db")
        address = site.address(listening)
        with running(environ | {"GUESTBOOK_BASE_URL": address}) as app:
            Owner(app)  # stores its password
            fill(app)
            with site.serving(app, listening):
                _look(address, folder)


def fill(app: Flask) -> None:
    """Sign the book on some days, and send webhooks for a month, of which some failed."""
    now, luck = clock.now(), random.Random(1)
    with app.app_context():
        for number, (name, website, message) in enumerate(COMMENTS, 1):
            at = now - timedelta(days=(len(COMMENTS) - number) * 1.4, hours=3)
            url = website and f"https://{website}"
            columns = {"name": name, "website": url, "message": message, "number": 80 + number}
            with writing() as session:
                session.add(Comment(id=ids.first_of(at), status="published", created_at=at, **columns))
            if number == 1:
                factories.change(ids.first_of(at), comment_actions.reply, "Next time: more salt.")
        webhook = factories.webhook(name="Chat")
        for hour in range(30 * 24):
            for _ in range(luck.choice((1, 2, 3, 3, 4))):
                at, status = now - timedelta(hours=hour), "failed" if luck.random() < 0.01 else "processed"
                times = {"created_at": at, "finished_at": at}
                factories.delivery(webhook, **times, status=status, attempts=1, claims=1)
        for minutes in (1, 2, 4):
            times = {"created_at": now - timedelta(minutes=minutes), "due_at": now + timedelta(hours=minutes)}
            factories.delivery(webhook, **times, attempts=1, claims=1)
        factories.past_pass(timedelta(seconds=20), processed=12, retried=3)


def _look(address: str, folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=servers.chromium(), args=["--no-sandbox"])
        page = browser.new_page(base_url=address)
        page.goto("/admin/login")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("/admin/")
        for name, (path, width, height) in PICTURES.items():
            page.set_viewport_size({"width": width, "height": height})
            page.goto(path)
            # Pages have few colors.
            command = ("pngquant", "--nofs", "--speed", "1", "--strip", "64", "-")
            done = subprocess.run(command, input=page.screenshot(), capture_output=True, check=True)
            (folder / f"{name}.png").write_bytes(done.stdout)
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
