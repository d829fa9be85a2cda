"""A pass imports what sends, and nothing that only some passes need: each start takes its time and memory."""

import sys

from tests.conftest import run
from tests.support.book import Book
from tests.support.receiver import Receiver

IMPORTED = """
import gc, sys
from flask.cli import main
sys.argv = ["flask", "--app", "guestbook", "cron"]
try:
    main()
finally:
    print(gc.get_freeze_count() > len(gc.get_objects()), *sys.modules)
"""
RARE = {
    *("guestbook.web", "guestbook.comments.book"),
    *("guestbook.inbound.processor", "guestbook.inbound.verify_and_decide"),
    "guestbook.transport.smtp",
    *("alembic", "babel", "bs4", "celery", "jsonschema", "mf2py", "waitress", "wtforms"),
    *("email.policy", "smtplib"),
}


def test_a_pass_that_sends_imports_no_pages_and_nothing_of_inbound_events_or_mail(
    book: Book, environ: dict[str, str], receiver: Receiver
) -> None:
    book.webhook(receiver.url())
    book.publish()
    done = run(sys.executable, "-c", IMPORTED, env=environ)
    assert done.returncode == 0, done.stderr
    assert book.statuses() == {"processed": 1}
    is_frozen, *imported = done.stdout.split()
    assert "guestbook.outbound.dispatcher" in imported
    assert RARE.intersection(imported) == set()
    assert is_frozen == "True", "its searches for garbage pass by what its start has made"
