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
from tests.support.visitor import set_

DOCS = Path(__file__).parents[1] / "docs"
# The address, width and height of each, and the look that the book has on it.
PICTURES = {
    "in-a-page": ("{around}/", 1100, 1000, "paper"),
    "look-1999": ("{book}/", 1280, 1150, "1999"),
    "admin": ("{book}/admin/", 1200, 745, "paper"),
}
AROUND = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The lighthouse</title>
<body style="margin: 0 auto; max-width: 62rem; padding: 1rem 2rem; font: 1.1rem/1.5 Georgia, serif">
<h1>The lighthouse</h1>
<p>Stories and bread, since 1998. <a href="#">Stories</a> · <a href="#">Recipes</a> · <b>Guestbook</b></p>
<a href="{book}/">Guestbook</a>
<script src="{book}/embed.js" data-header="no"></script>"""
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
    around = Flask(__name__)
    with (
        tempfile.TemporaryDirectory() as place,
        site.reserved_port() as first,
        site.reserved_port() as second,
    ):
        environ = settings_for(Path(place), f"sqlite:///{place}/guestbook.db")
        book, website = site.address(first), site.address(second)
        around.add_url_rule("/", "page", lambda: AROUND.format(book=book))
        with running(environ | {"GUESTBOOK_BASE_URL": book}) as app:
            Owner(app)  # stores its password
            fill(app)
            set_(embed_sites=website)
            with site.serving(app, first), site.serving(around, second):
                _look(book, website, folder)


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


def _look(book: str, around: str, folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=servers.chromium(), args=["--no-sandbox"])
        page = browser.new_page(base_url=book)
        page.goto("/admin/login")
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("/admin/")
        for name, (address, width, height, look) in PICTURES.items():
            set_(look=look)
            page.set_viewport_size({"width": width, "height": height})
            page.goto(address.format(book=book, around=around), wait_until="networkidle")
            # Pages have few colors.
            command = ("pngquant", "--nofs", "--speed", "1", "--strip", "64", "-")
            done = subprocess.run(command, input=page.screenshot(), capture_output=True, check=True)
            (folder / f"{name}.png").write_bytes(done.stdout)
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS)
