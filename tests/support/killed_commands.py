"""Commands that die by SIGKILL at calls that a seed draws, and what must be left of a book then."""

import json
import shutil
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from guestbook import settings
from guestbook.lib import ids
from guestbook.storage import backup, encrypted_columns
from guestbook.storage.models import Webhook
from tests.repo.test_schema import engine_on
from tests.storage import earlier_books
from tests.storage.test_restore import snapshot
from tests.storage.test_upgrade import assert_kept, by_name, fresh
from tests.support import factories
from tests.support.book import Book
from tests.support.forks import Forks

FIRST_GUESS = 900  # calls of a command that has not come to its end yet
LATEST = 0.003  # seconds after a call
MOST_IN_A_ROW = 4  # kills
_calls: dict[str, int] = {}  # of a command that came to its end, by its name and database


def moment(luck: Random, last: int) -> dict[str, str]:
    """Draw the call, of so many, at which a process dies: right before or after it, or a moment later."""
    delay = luck.choice((0, luck.uniform(0, LATEST)))
    return {"GUESTBOOK_TEST_CALL": f"{luck.randint(1, last)} {delay}"}


@dataclass
class KilledCommands:
    """Runs commands and kills them."""

    forks: Forks
    luck: Random
    kills: Counter[str] = field(default_factory=Counter)

    def kill(self, environ: dict[str, str], *words: str) -> bool:
        """Kill a command at some call; return whether it died, or came to its end before."""
        name = [word for word in words if "/" not in word and not word.startswith("--")][-1]
        key = f"{name} {environ['GUESTBOOK_DATABASE_URL'].partition(':')[0]}"
        once = environ | moment(self.luck, _calls.get(key, FIRST_GUESS))
        one = self.forks.start(once, *words, point="at_a_call")
        if (code := one.wait()) == -signal.SIGKILL:
            self.kills[name] += 1
            return True
        assert code == 0, f"{words} ended with {code}: {one.printed}"
        _calls[key] = int(one.printed.split()[-1])
        return False

    def kill_then_run(self, environ: dict[str, str], *words: str) -> None:
        """Kill a command some times, and then let it come to its end."""
        for _ in range(self.luck.randint(1, MOST_IN_A_ROW)):
            if not self.kill(environ, *words):
                break
        self.forks.run(environ, *words)


IMPORTED, EVENTS = 40, 3  # comments of a file, and events of each
REPLY = {"message": "Thanks", "created_at": (WHEN := "2026-01-31T23:59:59.123Z")}


@dataclass
class CommandsOfBook:
    """Kills each command of a book; `mode` is that of its database."""

    mode: str
    book: Book
    environ: dict[str, str]
    commands: KilledCommands

    def play(self, kills: int) -> None:
        """Kill each command about so often."""
        home = Path(self.environ["GUESTBOOK_DATA_DIR"])
        for act in (self.back_up, self.restore, self.bring_in, self.upgrade, self.encrypt):
            enough = self.commands.kills.total() + kills
            while self.commands.kills.total() < enough:
                act(home, kills)

    def back_up(self, home: Path, kills: int) -> None:
        """A backup is the earlier one or the new one, whole."""
        self._run("backup", file := str(home / "kept.db"))
        for _ in range(kills):
            self.book.sign("before a backup")
            self._killed("backup", file)
            backup.verify(Path(file), Path(file))
        self._run("backup", file)
        assert not list(home.glob("*.unfinished*"))

    def restore(self, home: Path, kills: int) -> None:
        """The book is the old one or the new one, whole; then the other one is restored."""
        books, now = [], 1
        for number in range(2):
            self.book.sign(f"in backup {number}")
            self._run("backup", str(home / f"{number}.db"))
            books.append(snapshot(self.book.engine))
        for _ in range(kills):
            self._killed("restore", str(home / f"{1 - now}.db"), "--yes")
            now = [snapshot(self.book.engine) == one for one in books].index(True)
        self._run("restore", str(home / "0.db"), "--yes")
        assert snapshot(self.book.engine) == books[0]
        assert not list(home.glob("*.unfinished*"))
        shutil.rmtree(home / "backups")

    def bring_in(self, home: Path, _kills: int) -> None:
        """Each comment of a file is imported once, with its reply and its events."""
        file, word, numbers = home / "comments.jsonl", ids.new(), range(IMPORTED)
        same = {"name": "Ada", "created_at": WHEN, "reply": REPLY}
        file.write_text("".join(f"{json.dumps({**same, 'message': f'{word} {one}'})}\n" for one in numbers))
        self.commands.kill_then_run(self.environ, "comments", "import", str(file), "--notify-webhooks")
        mine = {one.id: one.message for one in factories.comments() if one.message.startswith(word)}
        assert sorted(mine.values()) == sorted(f"{word} {one}" for one in numbers), "not each comment once"
        rows = [row for row in self.book.deliveries() if row.comment_id in mine]
        sent = [(row.comment_id, row.sequence, row.webhook_id) for row in rows]
        webhooks = len(factories.rows(Webhook))
        assert len(sent) == len(set(sent)) == EVENTS * IMPORTED * webhooks, "not each event once"

    def upgrade(self, home: Path, _kills: int) -> None:
        """A book of the first version is upgraded by whichever run comes to its end; no row is lost."""
        (old := home / "old").mkdir()
        with earlier_books.earlier(self.mode, old) as url, engine_on(url) as engine:
            before = earlier_books.rows(engine)
            own = {"GUESTBOOK_DATA_DIR": str(old), "GUESTBOOK_DATABASE_URL": url}
            self.commands.kill_then_run(self.environ | own, "upgrade")
            assert by_name(engine) == fresh(self.mode)
            assert_kept(before, earlier_books.rows(engine))
            with engine_on(f"sqlite:///{min((old / 'backups').glob('guestbook-0024-*.db'))}") as copy:
                assert earlier_books.rows(copy) == before
        shutil.rmtree(old)

    def encrypt(self, home: Path, kills: int) -> None:
        """All secrets can be decrypted with the keys that the data folder holds."""
        if key := self.environ.pop("GUESTBOOK_SECRET_KEY", None):
            (home / "secret_key").write_text(key)
            (home / "secret_key").chmod(0o600)
        for _ in range(kills):
            self._killed("encrypt-secrets", "--new-key")
            with self.book.engine.connect() as connection:
                found = encrypted_columns.look(connection, settings.load(self.environ).keyring)
            assert found.total
            assert not found.unreadable, found
        self._run("encrypt-secrets")

    def _run(self, *words: str) -> None:
        self.commands.forks.run(self.environ, *words)

    def _killed(self, *words: str) -> None:
        self.commands.kill(self.environ, *words)
