"""The buttons of the talk's page, its receiver, and what happened: each change and the line that decided."""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from requests import RequestException
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from guestbook.cli.talk_book import REQUEST_TIMEOUT, Process, TalkBook, browser
from guestbook.lib import signatures, verification
from guestbook.lib.errors import Refused
from guestbook.settings import installation
from guestbook.storage import database, database_errors, row_changes
from guestbook.storage.models import Delivery, Webhook

PATIENCE, LOOK_INTERVAL = 30.0, 0.05  # seconds
LATE_SECONDS, HOLD_SECONDS = 3.0, 15.0
SHORT_TIMEOUT = {"GUESTBOOK_TIMEOUT": "2"}  # while the receiver is late, or you would wait for 15 seconds
VISITORS, ANSWERED_FIRST = 12, 4  # So many sign, and the plug is pulled when so many have their answer.
SHOWN_ENTRIES = 60
STATES = {
    "up": "The receiver is up. It answers 204 at once.",
    "down": "The receiver is down. Connections are refused.",
    "late": "The receiver answers late: after 3 seconds. A pass waits for 2.",
    "gone": "The receiver answers 410 Gone: it wants nothing more.",
}
BUTTONS = {
    "sign": "Sign the book",
    "cron": "Run cron",
    "second": "Let a second pass start",
    "kill": "Kill the pass in the middle of a request",
    "down": "The receiver is down",
    "late": "It answers late",
    "gone": "It says 410",
    "up": "The receiver is up again",
    "enable": "Enable the webhook",
    "forge": "Forge a signature",
    "hour": "Set the clock one hour on",
    "plug": "Pull the plug",
    "start_over": "Start over",
}
DECISIONS = {  # The file of the package, and a part of the line, which it has once.
    "stored": ("comments/comment_actions.py", "tell_first(session, comment, settings)"),
    "committed": ("storage/database.py", "session.commit()"),
    "leased": ("outbound/delivery_dispatcher.py", '"until": ends + self._skew'),
    "ended": ("outbound/attempt_recorder.py", '"processed" if outcome.ok else "failed"'),
    "retried": ("lib/retry_policy.py", "_jittered(schedule[made]"),
    "due": ("queue/claims.py", "{owner} = :owner AND due_at <= :now"),
    "disabled": ("outbound/pause_and_disable.py", 'webhook.disable(now, "gone")'),
    "enabled": ("storage/row_changes.py", "row.enable()"),
    "locked": ("lib/locks.py", "fcntl.flock(descriptor"),
    "verified": ("lib/verification/kinds.py", "hmac.compare_digest(as_bytes(expected)"),
}


Said = tuple[str, str | None]  # a sentence, and the decision behind it


@dataclass
class ReceivedRequest:
    """A request as it came, with the names of headers in lower case, and what the receiver made of it."""

    headers: Mapping[str, str]
    body: bytes
    signed: bytes  # `id.timestamp.body`
    computed: str  # the signature of these bytes
    verdict: verification.Verdict
    status: int
    is_repeat: bool
    answer: str = "not answered yet"


@dataclass
class ClickOutcome:
    """What came of a click: its button, what happened, what that did to the rows, and the next step."""

    button: str
    said: str
    rows: str
    next_step: str


def line_of(decision: str) -> tuple[str, str]:
    """Find a line in the program as it is now; return its place and its text."""
    path, part = DECISIONS[decision]
    before, found, after = (installation.CHECKOUT / "guestbook" / path).read_text("utf-8").partition(part)
    line = before.rpartition("\n")[2] + (found + after).partition("\n")[0]
    return f"guestbook/{path}:{before.count(chr(10)) + 1}", line.strip()


class Talk:
    """The book, its receiver, and what happened between them. The newest requests and entries come first."""

    def __init__(self, book: TalkBook, open_receiver: Callable[[], Any]) -> None:
        self.book, self.open_receiver, self.state = book, open_receiver, "down"
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.requests: list[ReceivedRequest] = []
        self.entries: list[tuple[datetime, str, tuple[str, str] | None]] = []
        self.clicks, self.changed = 0, dict[str, int]()  # By a row's id, the click that changed it last.
        self.pressed: list[str] = []  # The buttons that have not done their work; the first one is at it.
        self.outcomes: list[ClickOutcome] = []  # of the last buttons that have, the oldest first
        self._acting, self._looking = threading.Lock(), threading.Lock()
        self.webhook, self._rows = book.read()

    def press(self, button: str, typed: Mapping[str, str]) -> None:
        """Do what a button says, after what other clicks have started, and keep the outcome."""
        label = BUTTONS[button]
        if not self.pressed:
            self.outcomes = []
        self.pressed.append(label)
        with self._acting:
            self.clicks += 1
            decision = None
            try:
                said, decision = self._act(button, typed)
            except (Refused, OSError, SQLAlchemyError) as error:
                said = _sentence(error)
            rows = self.look()
            self.say(f"{label}: {said}", decision)
            changed = [row for row in rows.values() if self.changed.get(row.id) == self.clicks]
            self.outcomes.append(ClickOutcome(label, said, self._effect(changed), self._next_step()))
            self.pressed.remove(label)

    def _act(self, button: str, typed: Mapping[str, str]) -> Said:
        if button in STATES:
            return self._become(button)
        if button == "sign":
            return self.sign(typed.get("name", ""), typed.get("message", ""))
        act: Callable[[], Said] = getattr(self, button)
        return act()

    def receive(self, headers: Mapping[str, str], body: bytes) -> int:
        """Verify a request as a receiver does, and keep it; return the answer's status when it is time."""
        began, event_id = time.monotonic(), headers.get("webhook-id", "")
        stamp, secret = headers.get("webhook-timestamp", ""), self.book.secret
        content = event_id, int(stamp) if stamp.isdecimal() else 0, body
        signed = signatures.signed_content(*content)
        computed = signatures.standard((signatures.key_of(secret),), *content)
        verdict = verification.verify("standard", [secret], headers, body, self.book.now())
        status = 401 if not verdict.ok else 410 if self.state == "gone" else 204
        accepted = (one.headers["webhook-id"] for one in self.requests if one.status == 204)
        is_repeat = verdict.ok and event_id in accepted
        received = ReceivedRequest(headers, body, signed, computed, verdict, status, is_repeat)
        self.requests.insert(0, received)
        said = f"The receiver has webhook-id …{event_id[-6:]}: {'genuine' if verdict.ok else 'refused'}"
        self.say(f"{said}, a repeat, which it drops." if is_repeat else f"{said}.", "verified")
        self.may_answer.wait(HOLD_SECONDS)
        time.sleep(LATE_SECONDS if self.state == "late" else 0)
        received.answer = f"{status} after {time.monotonic() - began:.1f} seconds"
        return status

    def say(self, sentence: str, decision: str | None = None) -> None:
        """Add an entry."""
        code = line_of(decision) if decision else None
        self.entries.insert(0, (self.book.now(), sentence, code))
        del self.entries[SHOWN_ENTRIES:]

    def look(self) -> dict[str, Delivery]:
        """Add entries for what has changed in the tables since the last look; return the rows."""
        with self._looking:
            webhook, rows = self.book.read()
            for row in reversed(rows.values()):
                if change := _change(self._rows.get(row.id), row):
                    self.changed[row.id] = self.clicks
                    self.say(*change)
            if (reason := webhook.disabled_reason) != self.webhook.disabled_reason:
                said = f"disabled: {reason}. Its deliveries wait" if reason else "enabled"
                self.say(f"The webhook is {said}.", "disabled" if reason else "enabled")
            self.webhook, self._rows = webhook, rows
            return rows

    def sign(self, name: str, message: str) -> Said:
        """Sign the book as a visitor."""
        answer = self.book.sign(name, message)
        if not answer.ok:
            raise Refused(f"The book answered {answer.status_code}: {answer.json()['error']['message']}")
        self.look()
        return f"{name} signed the book, which answered {answer.status_code}. Nothing was sent yet.", None

    def cron(self) -> Said:
        """Run a pass to its end."""
        due = len(self._due())
        ended = self._wait_for_end(self._start_pass(**SHORT_TIMEOUT if self.state == "late" else {}))
        return f"{ended} Rows due before it: {due}.", None

    def second(self) -> Said:
        """Start a pass beside another one."""
        with self._held_pass() as first:
            self.say(self._wait_for_end(self._start_pass()))
            said = self.book.passes[-1][1].read_text().strip()
        self.say(self._wait_for_end(first))
        return f"The second pass found the lock taken. It said: {said}", "locked"

    def kill(self) -> Said:
        """Kill a pass while its request is under way."""
        with self._held_pass() as one:
            one.kill()
            one.wait()
        said = f"SIGKILL ended pass {one.pid} in the middle of its request. No outcome was recorded."
        return f"{said} The row comes due again when its lease ends.", "due"

    def plug(self) -> Said:
        """Kill the web server and a pass while visitors sign; look at what is stored, and start again."""
        answered = set[str]()

        def visit() -> None:
            with suppress(RequestException):  # The plug was pulled.
                for number in range(VISITORS):
                    answer = self.book.sign(f"Visitor {number}", f"Hello, I am number {number}!")
                    if answer.ok:
                        answered.add(answer.json()["id"])

        with self._held_pass() if self.state == "up" else nullcontext():
            visitors = threading.Thread(target=visit, daemon=True)
            visitors.start()
            self._wait_for(lambda: len(answered) >= ANSWERED_FIRST, "Nobody could sign")
            self.book.kill()
            visitors.join(PATIENCE)
        self.say("The web server and the pass were killed while visitors signed.")
        stored = self.book.stored()
        lost = len(answered - stored.keys())
        without = list(stored.values()).count(None)
        self._restart_server()
        said = f"{len(answered)} visitors had their answer when the web server and the pass were killed."
        said += f" Answered but not stored: {lost}. Stored without a delivery: {without}."
        return said if lost or without else f"{said} Nothing was lost.", "committed"

    def hour(self) -> Said:
        """Set the book's clock one hour on."""
        self.book.set_the_clock_on()
        return f"It is {self.book.now():%H:%M} in the book. Rows due now: {len(self._due())}.", "due"

    def enable(self) -> Said:
        """Enable the webhook, as the owner does on the admin pages."""
        if not self.webhook.disabled_at:
            raise Refused("The webhook is enabled already.")
        with Session(self.book.engine) as opened, database.writing(opened) as session:
            row_changes.enable(session, session.get_one(Webhook, self.webhook.id))
        return "The owner enabled the webhook.", "enabled"

    def forge(self) -> Said:
        """Post the last genuine request once more, with one letter changed."""
        genuine = next((one for one in self.requests if one.verdict.ok), None)
        if genuine is None or self.state == "down":
            raise Refused("The receiver must be up, and have a genuine request. Sign the book and run cron.")
        body = re.sub(rb'("message":"J*)[^J"]', rb"\1J", genuine.body, count=1)
        answer = browser.post(self.webhook.url, body, headers=genuine.headers, timeout=REQUEST_TIMEOUT)
        return f"A forger changed one letter. The receiver answered {answer.status_code}.", "verified"

    def start_over(self) -> Said:
        """Throw away all comments, rows and requests, and set the clock to the real time."""
        if self.state != "up":
            self._become("up")
        with self._looking:
            self.book.start_over()
            self.requests.clear()
            self.entries.clear()
            self.webhook, self._rows = self.book.read()
        self._restart_server()
        return "This is a new book. It has no comments, and its clock shows the real time.", None

    def _effect(self, changed: list[Delivery]) -> str:
        """Say what a click did to the rows. If it did nothing, say how the row that is due next is now."""
        if len(changed) > 1:
            counted = Counter(row.status for row in changed)
            return f"{len(changed)} rows changed: {', '.join(f'{counted[one]} {one}' for one in counted)}."
        if changed:
            return self._state_of(changed[0])
        waiting = sorted(self._waiting(), key=_due_time)
        return f"No row changed. {self._state_of(waiting[0])}" if waiting else "No row changed."

    def _state_of(self, row: Delivery) -> str:
        name = f"Row …{row.id[-6:]} is {row.status}"
        if not row.due_at:
            return f"{name}. Attempts: {row.attempts}."
        now = self.book.now()
        how = "leased until" if row.is_leased(now) else "due since" if row.due_at <= now else "due at"
        return f"{name}, {how} {row.due_at:%H:%M:%S}. Attempts: {row.attempts}."

    def _next_step(self) -> str:
        """Name the buttons that lead to the next delivery."""
        waiting, now = self._waiting(), self.book.now()
        if not waiting:
            return f"Next: {BUTTONS['sign']}."
        steps = []
        if self.state != "up" and (self.webhook.disabled_at or any(row.attempts for row in waiting)):
            steps.append("up")
        if self.webhook.disabled_at:
            steps.append("enable")
        if self.webhook.is_paused(now) or min(map(_due_time, waiting)) > now:
            steps.append("hour")
        return f"Next: {', then '.join(BUTTONS[step] for step in (*steps, 'cron'))}."

    def _become(self, state: str) -> Said:
        """Change the state of the receiver. Its port is closed while it is down."""
        if self.state == "down" != state:
            self._server = self.open_receiver()
        elif state == "down" != self.state:
            self._server.trigger.pull_trigger(self._server.close)  # Its own thread must do that.
            self._wait_for(lambda: self._server.socket is None, "The port was not closed")
        self.state = state
        return STATES[state], None

    def _restart_server(self) -> None:
        self.book.start_server()
        self._wait_for(self.book.is_served, "The web server did not answer")
        self.say("The web server was started again.")

    def _waiting(self) -> list[Delivery]:
        return [row for row in self._rows.values() if row.due_at]

    def _due(self) -> list[Delivery]:
        now = self.book.now()
        return [row for row in self.look().values() if row.due_at and row.due_at <= now]

    @contextmanager
    def _held_pass(self) -> Iterator[Process]:
        """Give a pass whose request the receiver holds, after signing the book if nothing is due."""
        if self.state != "up" or self.webhook.disabled_at or self.webhook.is_paused(self.book.now()):
            raise Refused("The receiver must be up for this, and its webhook neither disabled nor paused.")
        if not self._due():
            self.say(self.sign("Ada", "Hello from the talk!")[0])
        self.may_answer.clear()
        try:
            earlier, one = len(self.requests), self._start_pass()
            self._wait_for(lambda: len(self.requests) > earlier, "No request came")
            self.look()
            self.say("The request is under way: the receiver holds its answer.")
            yield one
        finally:
            self.may_answer.set()

    def _start_pass(self, **more: str) -> Process:
        one = self.book.start_pass(**more)
        self.say(f"Cron starts a pass: process {one.pid}.")
        return one

    def _wait_for_end(self, one: Process) -> str:
        self._wait_for(lambda: one.poll() is not None, "The pass did not end")
        self.look()
        return f"Pass {one.pid} has ended with exit code {one.returncode}."

    def _wait_for(self, is_true: Callable[[], bool], otherwise: str) -> None:
        give_up = time.monotonic() + PATIENCE
        while not is_true():
            self.look()
            if time.monotonic() > give_up:
                raise Refused(f"{otherwise} within {PATIENCE:g} seconds.")
            time.sleep(LOOK_INTERVAL)


def _due_time(row: Delivery) -> datetime:
    return row.due_at or datetime.max


def _sentence(error: Exception) -> str:
    """Return what to say about an error of a click."""
    if isinstance(error, RequestException):
        return "The book's web server does not answer. It may be starting: try again."
    if isinstance(error, SQLAlchemyError):
        return f"{database_errors.fault_of(error).value}: {database_errors.words(error)}."
    return f"{error.strerror}." if isinstance(error, OSError) and error.strerror else str(error)


def _change(old: Delivery | None, row: Delivery) -> tuple[str, str] | None:
    """Return what to say about a change of a row, and what decided it."""
    name = f"Row …{row.id[-6:]}"
    if old is None:
        return f"{name} is stored with its comment: {row.status}.", "stored"
    if old.status != row.status:
        return f"{name}: {old.status} → {row.status}.", "ended"
    if row.attempts > old.attempts:
        return f"{name} stays {row.status}. {row.last_error} Due again at {row.due_at:%H:%M:%S}.", "retried"
    if row.claimed_by and row.claimed_by != old.claimed_by:
        return f"{name} is leased to the pass until {row.due_at:%H:%M:%S}.", "leased"
    return None
