"""The buttons of the talk's page, and what happened: each change of a row with the line of code that decided.

The sentences come from the table, the processes and the answers.
"""

import inspect
import itertools
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import requests
from sqlalchemy import Row

from guestbook.cli import talk_book, talk_clock
from guestbook.cli.talk_book import TalkBook, TalkPass
from guestbook.cli.talk_receiver import STATES, ReceivedRequest, TalkReceiver
from guestbook.comments import comment_actions
from guestbook.lib import locks, retry_policy, verification
from guestbook.lib.errors import Refused
from guestbook.lib.text import counted
from guestbook.outbound import attempt_recorder, delivery_dispatcher, pause_and_disable
from guestbook.queue import claims
from guestbook.settings import installation
from guestbook.storage import database, row_changes

SHORT_TIMEOUT = 2.0  # seconds for an attempt while the receiver is late, or you would wait for 15
VISITORS = 12  # They sign while the plug is pulled.
ANSWERED_FIRST = 4  # Then it is pulled.
NAMED_ROWS = 3  # Of more rows that change alike, only the number is said.
SHOWN_ENTRIES = 60
DECISIONS: dict[str, tuple[ModuleType, str]] = {  # A part of the line stands once in its module.
    "stored": (comment_actions, "tell_first(session, comment, settings)"),
    "committed": (database, "session.commit()"),
    "leased": (delivery_dispatcher, "now + self._lease + self._skew"),
    "ended": (attempt_recorder, '"processed" if outcome.ok else "failed"'),
    "retried": (retry_policy, "_jittered(schedule[made]"),
    "due": (claims, "AND due_at <= :now{order}"),
    "disabled": (pause_and_disable, 'webhook.disable(now, "gone")'),
    "enabled": (row_changes, "row.enable()"),
    "paused": (pause_and_disable, "retry_policy.pause_until("),
    "locked": (locks, "fcntl.flock(descriptor"),
    "verified": (verification, "if True not in matching:\n        return Verdict(False, _mismatch"),
}


class CodeLine(NamedTuple):
    """A line of the program and its place."""

    place: str
    text: str


class TalkEntry(NamedTuple):
    """Something that happened, at a time of the book's clock."""

    number: int
    at: datetime
    sentence: str
    code: CodeLine | None


@cache
def line_of(decision: str) -> CodeLine:
    """Find the line in the program as it is now."""
    module, part = DECISIONS[decision]
    before, found, after = inspect.getsource(module).partition(part)
    path = Path(str(module.__file__)).relative_to(installation.CHECKOUT)
    line = before.rpartition("\n")[2] + (found + after).partition("\n")[0]
    return CodeLine(f"{path}:{before.count(chr(10)) + 1}", line.strip())


class Talk:
    """The book, its receiver, and what happened between them."""

    def __init__(self, book: TalkBook, receiver: TalkReceiver) -> None:
        self.book = book
        self.receiver = receiver
        self.entries: list[TalkEntry] = []  # the newest first
        self.changed: dict[str, int] = {}  # ids of rows, with the click that changed them last
        self.clicks = 0
        self._numbers = itertools.count(1)
        self._acting, self._looking = threading.Lock(), threading.Lock()
        self._rows, self._webhook = book.rows(), book.webhook()

    def press(self, button: str, typed: Mapping[str, str]) -> None:
        """Do what a button says, after what another click has started."""
        with self._acting:
            self.clicks += 1
            try:
                if button in STATES:
                    self.receiver.become(button)
                    self.say(self.receiver.sentence)
                elif button == "sign":
                    self.sign(typed.get("name", ""), typed.get("message", ""))
                else:
                    BUTTONS[button](self)
            except (Refused, OSError) as error:  # requests' errors are among these.
                self.say(str(error))
            self.look()

    def say(self, sentence: str, decision: str | None = None) -> None:
        """Add an entry, with the line of code that decided."""
        code = line_of(decision) if decision else None
        self.entries.insert(0, TalkEntry(next(self._numbers), self.book.now(), sentence, code))
        del self.entries[SHOWN_ENTRIES:]

    def look(self) -> dict[str, Row[Any]]:
        """Add an entry for what has changed in the table since the last look; return the rows."""
        with self._looking:
            rows, webhook = self.book.rows(), self.book.webhook()
            kinds: dict[str, list[str]] = {}
            for row_id, (decision, sentence) in _changes(self._rows, rows).items():
                kinds.setdefault(decision, []).append(sentence)
                self.changed[row_id] = self.clicks
            for decision, sentences in kinds.items():
                more = len(sentences) - NAMED_ROWS
                rest = f" And {more} more rows alike." if more > 0 else ""
                self.say(" ".join(sentences[:NAMED_ROWS]) + rest, decision)
            if webhook != self._webhook:
                self._say_webhook(webhook)
            self._rows, self._webhook = rows, webhook
            return rows

    def _say_webhook(self, webhook: Row[Any]) -> None:
        if webhook.disabled_at and not self._webhook.disabled_at:
            why = f"The webhook is disabled: {webhook.disabled_reason}. Its deliveries wait."
            self.say(why, "disabled")
        elif self._webhook.disabled_at and not webhook.disabled_at:
            self.say("The webhook is enabled: its deliveries may go out again.", "enabled")
        elif webhook.paused_until and webhook.paused_until != self._webhook.paused_until:
            self.say(f"The webhook is paused until {webhook.paused_until:%H:%M:%S}.", "paused")

    def sign(self, name: str, message: str) -> None:
        """Sign the book as a visitor."""
        answer = self.book.sign(name, message)
        if not answer.ok:
            raise Refused(f"The book answered {answer.status_code}: {answer.json()['error']['message']}")
        said = "She has her answer, and nothing was sent yet." if name == "Ada" else "Nothing was sent yet."
        self.say(f"{name} signed the book, which answered {answer.status_code}. {said}")

    def cron(self) -> None:
        """Run a pass to its end."""
        timeout = SHORT_TIMEOUT if self.receiver.state == "late" else None
        self._wait_for_end(self._start_pass(timeout))

    def kill(self) -> None:
        """Kill a pass while its request is under way."""
        with self._held_pass() as one:
            one.process.kill()
            one.process.wait()
            self.say(f"SIGKILL ended pass {one.process.pid} in the middle of its request.")
        self.say("Nobody has recorded an outcome. The row comes due again when its lease ends.", "due")

    def second(self) -> None:
        """Start a pass beside another one."""
        with self._held_pass() as first:
            second = self._start_pass()
            self._wait_for_end(second)
            said = " ".join(second.lines)
            self.say(f"Pass {second.process.pid} found the lock taken and said: {said}", "locked")
        self._wait_for_end(first)

    def plug(self) -> None:
        """Kill the web server and a pass while visitors sign; look at what is stored, and start again."""
        answered, enough = set[str](), threading.Event()

        def visit(number: int) -> None:
            try:
                answer = self.book.sign(f"Visitor {number}", f"Hello number {number}!")
            except requests.RequestException:
                return
            if answer.ok:
                answered.add(answer.json()["id"])
            if len(answered) >= ANSWERED_FIRST:
                enough.set()

        with self._held_pass(), ThreadPoolExecutor(3) as visitors:
            before = self.book.counts()
            done = visitors.map(visit, range(1, VISITORS + 1))
            enough.wait(talk_book.PATIENCE)
            self.book.kill()
            list(done)
        self.say(f"The plug was pulled while {VISITORS} visitors signed. {len(answered)} had their answer.")
        self._say_stored(before, answered)
        self._serve()

    def _say_stored(self, before: talk_book.StoredCounts, answered: set[str]) -> None:
        after = self.book.counts()
        comments, deliveries = after.comments - before.comments, after.deliveries - before.deliveries
        lost, without = len(answered - after.ids), len(after.without)
        self.say(
            f"The file has {comments} of their comments and {deliveries} deliveries. Answered but not there: "
            f"{lost}. Comments without a delivery: {without}.",
            "committed",
        )

    def _serve(self) -> None:
        self.book.start_server()
        talk_book.wait_for(self.book.is_served, "The web server did not answer", self.look)
        self.say("The web server was started again and serves the book.")

    def hour(self) -> None:
        """Set the book's clock one hour on."""
        talk_clock.set_on(self.book.folder)
        now = self.book.now()
        due = [row for row in self.look().values() if row.due_at and row.due_at <= now]
        self.say(f"It is {now:%H:%M} in the book. {counted(len(due), 'row')} due now.", "due")

    def enable(self) -> None:
        """Enable the webhook again."""
        self.book.enable()

    def forge(self) -> None:
        """Post the last genuine request once more, with one letter changed."""
        genuine = next((one for one in reversed(self.receiver.requests) if one.verdict.ok), None)
        if genuine is None:
            raise Refused("Nothing genuine has arrived yet. Sign the book and run cron first.")
        body = _with_one_letter_changed(genuine.body)
        with requests.Session() as forger:
            forger.trust_env = False
            headers = dict(genuine.headers)
            answer = forger.post(self.receiver.url, body, headers=headers, timeout=talk_book.PATIENCE)
        forged = self.receiver.requests[-1]
        self.say(f"A forger changed one letter. The receiver answered {answer.status_code}.", "verified")
        self.say(f"Computed {forged.computed}, but {forged.arrived} arrived.")

    @contextmanager
    def _held_pass(self) -> Iterator[TalkPass]:
        """Give a pass whose request the receiver holds, after signing the book if nothing is due."""
        if self.receiver.state != "up":
            raise Refused("Let the receiver be up again first: it has to hold a request.")
        now, webhook = self.book.now(), self.book.webhook()
        if webhook.disabled_at:
            raise Refused("Enable the webhook first: nothing is sent while it is disabled.")
        if webhook.paused_until and webhook.paused_until > now:
            raise Refused(f"The webhook is paused until {webhook.paused_until:%H:%M:%S}. Set the clock on.")
        if not any(row.due_at and row.due_at <= now for row in self.look().values()):
            self.sign("Ada", "Hello from the talk!")
        count = len(self.receiver.requests)
        with self.receiver.holding():
            one = self._start_pass()

            def has_begun() -> bool:
                return len(self.receiver.requests) > count or one.process.poll() is not None

            talk_book.wait_for(has_begun, "No request arrived", self.look)
            if one.process.poll() is not None:
                raise Refused(f"The pass ended without a request: {one.ending}.")
            self.say(f"Its request is under way: the receiver has {_named(self.receiver.requests[-1])}.")
            self.look()
            yield one

    def _start_pass(self, timeout: float | None = None) -> TalkPass:
        one = self.book.start_pass(timeout)
        self.say(f"Cron starts a pass: process {one.process.pid}.")
        return one

    def _wait_for_end(self, one: TalkPass) -> None:
        talk_book.wait_for(lambda: one.process.poll() is not None, "The pass did not end", self.look)
        self.look()
        self.say(f"Pass {one.process.pid} has ended: {one.ending}.")


BUTTONS = {
    one.__name__: one
    for one in (Talk.cron, Talk.kill, Talk.second, Talk.plug, Talk.hour, Talk.enable, Talk.forge)
}
ALL_BUTTONS = {"sign", *STATES, *BUTTONS}


def short(row_id: str) -> str:
    """Return the end of an id, which tells it from others of the same second."""
    return f"…{row_id[-6:]}"


def _named(received: ReceivedRequest) -> str:
    return f"webhook-id {short(received.event_id)}"


def _with_one_letter_changed(body: bytes) -> bytes:
    old, new = (b"Hello", b"Jello") if b"Hello" in body else (b"comment", b"Comment")
    return body.replace(old, new, 1)


def _changes(before: Mapping[str, Row[Any]], after: Mapping[str, Row[Any]]) -> dict[str, tuple[str, str]]:
    """Return for the id of each row that changed what decided it, and a sentence; the oldest first."""
    found = {}
    for row_id, row in reversed(list(after.items())):
        old, name = before.get(row_id), short(row_id)
        if old is None:
            found[row_id] = "stored", f"Row {name} is stored with its comment: {row.status}."
        elif old.status != row.status:
            found[row_id] = "ended", f"Row {name}: {old.status} → {row.status}."
        elif row.attempts > old.attempts:
            why = f"Row {name} stays {row.status}: attempt {row.attempts} failed. {row.last_error}"
            found[row_id] = "retried", f"{why} The next one is due at {row.due_at:%H:%M:%S}."
        elif row.claimed_by and row.claimed_by != old.claimed_by:
            found[row_id] = "leased", f"Row {name} is leased to the pass until {row.due_at:%H:%M:%S}."
    return found
