"""Two real guestbooks on two ports: what is signed in one appears in the other once, and not for ever."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import guestbook
from guestbook.storage.database import db
from tests.support import processes
from tests.support.forks import Forks

ROUNDS = 3  # in which each book's cron comes; what goes in a circle would grow with them


@dataclass(frozen=True, slots=True)
class Guestbook:
    """A book that is served."""

    address: str
    environ: dict[str, str]

    def command(self, *words: str) -> str:
        """Run one of its commands."""
        app = guestbook.create_app(self.environ)
        done = app.test_cli_runner().invoke(args=words)
        with app.app_context():
            db.engine.dispose()
        assert (done.exit_code, done.stderr) == (0, "")
        return done.stdout

    def shown(self, *words: str) -> Any:
        """Run a command that prints JSON."""
        return json.loads(self.command(*words, "--json"))

    def comments(self) -> list[dict[str, Any]]:
        """Return what everybody can read."""
        return json.loads(processes.fetch(f"{self.address}/api/v1/comments")[1])["comments"]

    def tells(self, other: "Guestbook", *relay: str, sign_with: str = "secret") -> None:
        """Let this book's webhook lead to a source of the other book, which knows its secret or key."""
        events = ("--event", "comment.created", "--event", "comment.published", "--event", "comment.deleted")
        webhook = self.shown("webhooks", "add", "http://127.0.0.1:9/", *events, "--sign-with", sign_with)
        proof = webhook["public_key" if sign_with == "key" else "secret"]
        given = ("--verify", "standard", "--secret", proof, "--action", "comment")
        source = other.shown("sources", "add", "The other book", *given, "--template", "guestbook", *relay)
        self.command("webhooks", "update", webhook["id"], "--url", source["url"])


@contextmanager
def served(folder: Path, forks: Forks) -> Iterator[Guestbook]:
    folder.mkdir()
    port = processes.free_port()
    address = f"http://127.0.0.1:{port}"
    environ = {"GUESTBOOK_DATA_DIR": str(folder), "GUESTBOOK_BASE_URL": address}
    environ["GUESTBOOK_ALLOW_NETWORKS"] = "127.0.0.0/8"
    book = Guestbook(address, environ)
    book.command("init-db")
    server = forks.start(environ, "serve", f"--listen=127.0.0.1:{port}")
    processes.wait_for(lambda: processes.answers(address), 30, lambda: server.printed)
    yield book
    assert "Traceback" not in server.printed
    server.end()


@pytest.mark.parametrize("relay", [(), ("--notify-webhooks",)])
def test_a_comment_appears_in_the_other_book_once(tmp_path: Path, forks: Forks, relay: tuple[str]) -> None:
    with ExitStack() as stack:
        here = stack.enter_context(served(tmp_path / "here", forks))
        there = stack.enter_context(served(tmp_path / "there", forks))
        here.tells(there, *relay, sign_with="key")
        there.tells(here, *relay)
        assert processes.sign(here.address, name="Zoë", website="example.org", message="Grüße 🦋") == 303
        for _ in range(ROUNDS):
            assert here.command("cron") == there.command("cron") == ""
        [original], [copy] = here.comments(), there.comments()
        for field in ("name", "website", "message"):
            assert copy[field] == original[field]
        assert "origin" not in original
        assert copy["origin"] == {"name": "The other book", "url": original["url"]}
        assert len(there.shown("inbox", "list")) == 2  # that it was made, and that it is published
        assert {row["status"] for row in here.shown("inbox", "list")} <= {"processed"}
        assert len(here.shown("inbox", "list")) == (2 if relay else 0)

        here.command("comments", "trash", original["id"])
        for _ in range(ROUNDS):
            assert here.command("cron") == there.command("cron") == ""
        assert here.comments() == there.comments() == []
