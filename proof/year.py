"""Years of a simulated book in virtual time, the rules that must hold at each moment, and broken twins.

What is simulated is in tests/support: simulated_book.py, and simulated_year.py with the steps of a year.
"""

import time
from collections import Counter, defaultdict, deque
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import click

from guestbook.background import retention_rules, whole_pass
from guestbook.lib import clock, rate_counters, retry_policy
from guestbook.outbound import attempt_sender, delivery_dispatcher, event_publisher
from guestbook.outbound.delivery_dispatcher import TickPace
from guestbook.queue import claims, clock_repair, comment_order, deleted_comments, redelivery
from guestbook.queue.comment_order import END
from guestbook.storage.models.comment import KNOWN_STATUSES
from tests.support import simulated_book as book, simulated_year
from tests.support.simulated_book import Actor, KilledError, Request, Table, Tables
from tests.support.simulated_year import SimulatedYear

STEPS_OF_YEAR, STEPS_OF_TWIN, YEARS_OF_TWIN = 120, 40, 30
PAYLOAD = "SELECT payload FROM deliveries WHERE id = ?"
MEMORY, FEW = "/dev/shm", (1, 10)  # It waits for no disk. So many comments come at once with a twin.
# Where the line is, and what takes its place.
TWINS: dict[str, tuple[Any, str, Any]] = {
    "no order among the events of a comment": (claims, "ONLY_NEXT", ""),
    "no fence": (claims, "owned", lambda _connection, _table, leased: leased),
    "no look at the lease before sending": (attempt_sender, "MARGIN", -1e9),
    "an attempt that is not counted": (claims, "FINISH", claims.FINISH.replace("attempts + 1", "attempts")),
    "a retry too early": (retry_policy, "JITTER", 0.9),
    "a rate limit without its log": (rate_counters.SlidingLog, "room", 9),
    "retention of what is due": (retention_rules, "RULES", (("deliveries", "due_at < :now"),)),
    "retention after a jump of the clock": (whole_pass, "may_prune", lambda *_: True),
    "a redelivery without the later ones": (comment_order, "lock_with_later", lambda _, ids: [*ids]),
    "a redelivery of what is being sent": (redelivery, "_is_busy", lambda *_: False),
    "a deletion that supersedes nothing": (deleted_comments, "supersede", lambda *_: {}),
    "no repair after a jump of the clock": (clock_repair, "_fix", lambda *_: None),
    "a pass that sends after its end": (delivery_dispatcher, "TickPace", lambda a, b, _: TickPace(a, b, 9e9)),
    "a comment without its deliveries": (event_publisher, "publish_first", lambda *_: None),
}


class Rules(Tables):
    """The tables as of the last look, what the receivers have seen, and the rules."""

    def __init__(self, world: SimulatedYear, path: str) -> None:
        super().__init__(path)
        self.world = world
        self.places, self.urls, self.sent = Table(), Table(), dict[Any, str]()  # of all that were there
        self.before: dict[str, str] = {}  # when a delivery was due before it was claimed
        self.pairs: dict[Any, list[str]] = defaultdict(list)  # deliveries by comment and webhook
        self.numbers: dict[str, set[int]] = defaultdict(set)  # of a comment's events
        self.open: dict[str, list[Request]] = defaultdict(list)  # requests that nobody has recorded
        self.seen: dict[Any, list[Any]] = defaultdict(list)
        self.payloads, self.redelivered = Table(), set[Any]()
        self.begun: dict[str, deque[float]] = defaultdict(deque)
        self.attempts: Counter[Any] = Counter()
        self.depth = self.born = self.requests = self.repeats = self.pruned = 0

    def must(self, holds: object, rule: str) -> None:
        """Note that a rule is broken, and let nothing more happen."""
        if not holds:
            self.world.broken = self.world.broken or rule
            self.world.current.dead = True
            raise KilledError(rule)

    def look(self, actor: Actor) -> None:
        """Read the tables if anybody has written, and hold each change against the rules."""
        depth = 2 if actor is self.world.owner else int(actor.over)  # A pass at work makes a small look.
        if not self.has_changed() and depth <= self.depth:
            return
        self.depth = depth
        old, self.rows = self.rows, self.deliveries(is_whole=depth > 0)
        hooks, self.hooks = self.hooks, self.read(book.Hook, "webhooks", self.hooks)
        comments = self.comments  # A pass changes none. It may remove old spam, which the next look sees.
        self.comments = comments if depth < 2 else self.read(book.Comment, "comments", comments)
        self.urls |= {hook.url: hook.id for hook in self.hooks.values()}
        now = clock.to_text(clock.now())
        for key in self.rows.keys() - old.keys():
            self.is_born(actor, self.rows[key], now)
        for row in [row for key, row in self.rows.items() if old.get(key, row) is not row]:
            self.changed(actor, old[row.id], row, now)
        for key in old.keys() - self.rows.keys():
            self.is_gone(old[key], hooks)
        for comment in self.comments.values() if comments is not self.comments else ():
            if comment is not comments.get(comment.id):
                numbers = self.numbers[comment.id]
                self.must(numbers == set(range(1, comment.last_sequence + 1)), "each event has its rows")
                if comment.id not in comments and comment.status in KNOWN_STATUSES:
                    self.is_told(comment)
                waiting = {row.comment_id for row in self.rows.values() if row.due_at and row.event != END}
                is_told = comment.status in KNOWN_STATUSES or comment.id not in waiting
                self.must(is_told, "of a deleted comment nothing waits")
        counted = self.file.execute(
            "SELECT webhook_id, outcome, sum(number) FROM attempt_counts GROUP BY 1, 2"
        )
        sums = {(hook, outcome): number for hook, outcome, number in counted}
        mine = {key: number for key, number in self.attempts.items() if key[0] in self.hooks}
        self.must(sums == mine, "the statistics add up")

    def is_born(self, actor: Actor, row: Any, now: str) -> None:
        """Note where a new delivery belongs. That of a comment that has just gone does not say it."""
        place = book.Place(((row.comment_id or self.world.deleting), row.webhook_id), row.sequence, row.event)
        if row.sequence is None:
            place = book.Place((row.id, row.webhook_id), 0, row.event)
        self.places[row.id], self.sent[row.event_id, row.webhook_id] = place, row.id
        self.pairs[place.pair].append(row.id)
        self.numbers[place.pair[0]].add(place.sequence)
        [self.payloads[row.id]] = self.file.execute(PAYLOAD, [row.id]).fetchone()
        self.born += 1
        self.must(row.event != END or not self.waits_behind(row), "comment.deleted ends what waits")
        number = f'"sequence":{row.sequence},' if row.sequence else ""
        self.must(number in self.payloads[row.id], "a payload has its number")
        self.must((row.status, row.attempts) == ("new", 0), "a delivery begins as new")
        if row.claimed_by:  # A pass may claim what it has published.
            self.is_claimed(actor, row._replace(claimed_by=None, claims=0, due_at=row.created_at), row, now)

    def is_told(self, comment: Any) -> None:
        """Check that a new comment came with its deliveries."""
        events = ["comment.created", *["comment.published"] * (comment.status == "published")]
        told = {(place.pair[1], place.event) for place in self.places.values() if place.pair[0] == comment.id}
        wanted = {
            (hook.id, one) for hook in self.hooks.values() for one in events if one in hook.events.split()
        }
        self.must(told == wanted, "a comment and its deliveries commit together")

    def changed(self, actor: Actor, was: Any, row: Any, now: str) -> None:
        """Hold a change of a delivery against the rules."""
        must, place = self.must, self.places[row.id]
        kept = was[1:4] == row[1:4] and was.sequence == row.sequence and was.created_at == row.created_at
        must(kept and (was.payload == row.payload or row.erased_at), "nothing of a delivery changes")
        if row.erased_at and not was.erased_at:
            comment = self.comments.get(place.pair[0])
            must(not comment or comment.status not in KNOWN_STATUSES, "only a deleted comment is emptied")
            must(row.payload == 0 and row.status != "new", "an emptied delivery is final")
        must((row.status == "new") == (row.due_at is not None) == (row.finished_at is None), "new is due")
        must(0 <= row.schedule_start <= row.attempts <= row.claims, "attempts are counted")
        must(row.claimed_by is None or row.status == "new", "what is final has no lease")
        if row.attempts != was.attempts:
            self.is_recorded(actor, was, row)
        elif row.status != was.status and row.status != "new":
            must(row.status == "failed" and row.erased_at, "nothing ends without an attempt")
        elif row.status == "new" != was.status or row.schedule_start != was.schedule_start:
            must(row.id in self.world.redelivering, "only a person redelivers")
        if row.claimed_by and row.claimed_by != was.claimed_by:
            self.is_claimed(actor, was, row, now)
        elif was.claimed_by and row.status == "new" and not row.claimed_by:
            is_own = was.claimed_by in actor.tokens or row.id in self.world.redelivering
            must(is_own or self.world.has_freed(was), "a pass gives back only what it has leased")

    def is_recorded(self, actor: Actor, was: Any, row: Any) -> None:
        """Check what an attempt made of a delivery."""
        must, mine = self.must, [one for one in self.open[row.id] if one.actor is actor]
        must(row.attempts == was.attempts + 1 and mine, "each attempt is counted once")
        must(was.claimed_by in actor.tokens, "a pass records only what it has leased")
        made, sent = row.attempts - row.schedule_start, mine[-1]
        self.open[row.id].remove(sent)
        stored = "SELECT count(*), max(number) FROM attempts WHERE delivery_id = ?"
        numbers = self.file.execute(stored, [row.id]).fetchone()
        must(numbers == (row.attempts, row.attempts), "each attempt is on record once")
        is_last = sent.abort or (made >= len(book.SCHEDULE) and not sent.gone)
        wanted = "processed" if sent.ok else "failed" if is_last else "retried"
        self.attempts[row.webhook_id, wanted] += 1
        actor.recorded[wanted] += 1
        must(row.status == ("new" if wanted == "retried" else wanted), "an attempt has its result")
        if wanted == "retried" and made < len(book.SCHEDULE):
            wait = (datetime.fromisoformat(row.due_at) - clock.now()).total_seconds()
            least, most = (max(book.SCHEDULE[made] * part, sent.pause) for part in (0.8, 1.2))
            must(least - 12 <= wait <= most, "a retry keeps to the schedule")

    def is_claimed(self, actor: Actor, was: Any, row: Any, now: str) -> None:
        """Check that a delivery could be claimed."""
        must, hook = self.must, self.hooks[row.webhook_id]
        # The same transaction may have given it back first.
        due_at = self.before[row.id] if was.claimed_by in actor.tokens else was.due_at
        must(
            due_at <= now or self.world.has_freed(was), "a claim takes only due rows, and no two leases hold"
        )
        self.before[row.id] = due_at
        actor.tokens.add(row.claimed_by)
        must(row.claims == was.claims + 1, "claims are counted")
        until = clock.to_text(clock.now() + timedelta(seconds=book.LEASE + 1) + claims.CLOCK_SKEW)
        must(now < row.due_at < until, "a lease has its length")
        must(not hook.disabled_at and (hook.paused_until or "") <= now, "no closed webhook is sent to")
        must(not self.waits_behind(row), "what waits behind an earlier event is not claimed")

    def waits_behind(self, row: Any) -> bool:
        """Whether an earlier event about the same comment is on its way."""
        place = self.places[row.id]
        mine = (self.rows.get(one) for one in self.pairs[place.pair])
        return any(
            one.status == "new" and one.sequence < place.sequence for one in mine if one and one.sequence
        )

    def is_gone(self, row: Any, hooks: Table) -> None:
        """Check that retention took what is over and due, or what waited for ever."""
        place = self.places.pop(row.id)
        self.pairs[place.pair].remove(row.id)
        hook, now = self.hooks.get(row.webhook_id), clock.now()
        if not hook or hook.id == self.world.unwanted:
            return  # It was deleted with its webhook, of which perhaps a part is left.
        self.pruned += 1
        since = row.due_at if row.status == "new" else row.finished_at
        days = {"processed": 30, "failed": 90, "new": 90}[row.status]
        limit = clock.to_text(now - timedelta(days, -1))
        self.must(since < limit, "only old rows go")
        closed_at = hooks[row.webhook_id].disabled_at or "never"  # That sorts behind each time.
        self.must(row.status != "new" or closed_at < limit, "what waits stays")
        self.must(self.world.true - self.world.leapt > 1.9 * 86400, "after a jump of the clock nothing goes")

    def begins(self, actor: Actor, row: Any, request: Request, body: bytes) -> None:
        """Check that a request may begin now."""
        must, place, now = self.must, self.places[row.id], self.world.true
        must(body == self.payloads[row.id].encode(), "each attempt sends the same bytes")
        self.requests += 1
        for earlier in [*self.open[row.id]]:
            must(self.world.explains(earlier), "a request is repeated for a reason")
            self.open[row.id].remove(earlier)
            self.repeats += 1
        enough = clock.to_text(clock.now() + timedelta(seconds=book.TIMEOUT))
        is_leased = row.claimed_by in actor.tokens and row.due_at > enough
        must(is_leased or row.erased_at, "a pass sends what it has leased for long enough")
        self.keeps_rate(row.webhook_id, now)
        self.open[row.id].append(request)
        seen = self.seen[place.pair]
        must(not self.waits_behind(row), "events go out in order")
        ended = max((past.sequence for past, _ in seen if past.event == END), default=0)
        must(place.sequence >= ended, "nothing comes after comment.deleted")
        if place.pair not in self.redelivered:
            must(
                place.sequence >= max((past.sequence for past, _ in seen), default=0),
                "newer events come later",
            )
        is_gone = place.pair[0] not in self.comments and ended
        must(
            not is_gone or place.event == END or place.sequence > ended,
            "nobody is told of a comment that is gone",
        )
        for _, other in seen:
            under_way = other.until > now and not other.actor.dead and other.begun > self.world.jumped
            must(not under_way, "two requests about a comment are never under way at once")
        seen.append((place, request))

    def keeps_rate(self, hook_id: str, now: float) -> None:
        """Check the rate limit of a webhook."""
        hook, begun, rated = self.hooks[hook_id], self.begun[hook_id], self.world.rated.get(hook_id, 0.0)
        if self.world.current.began < rated:
            return  # A pass may send what it claimed before the owner set the rate.
        begun.append(now)
        if not hook.rate:
            return
        number, seconds = rate_counters.RateLimit.stored(hook.rate)
        since = max(now - seconds, self.world.jumped, rated)
        while begun and begun[0] <= since:
            begun.popleft()
        self.must(len(begun) <= number, "a rate limit is kept")

    def ends(self, actor: Actor, most: float) -> None:
        """Check what a pass leaves that came to its end."""
        must, now = self.must, clock.now()
        left = [row for row in self.rows.values() if row.status == "new"]
        must(not any(row.claimed_by in actor.tokens for row in left), "a pass leaves nothing leased")
        if actor.away or actor.hindered >= 0 or self.world.jumped >= actor.began:
            return
        took = self.world.true - actor.began
        must(took < most + book.TIMEOUT + 2, "a pass ends in time")
        farthest = clock.to_text(now + retry_policy.longest_wait(book.SCHEDULE) + claims.CLOCK_SKEW)
        must(all(row.due_at <= farthest for row in left), "no delivery is due beyond the schedule")
        before = clock.to_text(now - timedelta(seconds=5))
        for row in left if took < most - 1 else ():
            hook = self.hooks[row.webhook_id]
            is_closed = hook.disabled_at or hook.rate or (hook.paused_until or "") > before
            is_late = row.due_at < before and not self.waits_behind(row)
            must(is_closed or not is_late, "a pass leaves nothing that is due")

    def settled(self) -> None:
        """Check that all has ended, and that each receiver got the newest state last."""
        self.must(all(row.status != "new" for row in self.rows.values()), "each delivery ends")
        for pair, keys in self.pairs.items():
            mine = [self.places[one] for one in keys if self.rows[one].status == "processed"]
            newest = max((one.sequence for one in mine), default=0)
            last = [place.sequence for place, _ in self.seen[pair][-1:]]
            self.must([newest] <= last or not mine, "the newest state comes last")


def years(world: SimulatedYear, seed: str, deliveries: int) -> bool:
    """Live years until they had so many deliveries; print the counts; return whether all rules held."""
    began, number, sums = time.monotonic(), 0, Counter[str]()
    while sums["deliveries"] < deliveries:
        number += 1
        name = f"{seed}.{number}"
        steps = simulated_year.drawn_steps(name, STEPS_OF_YEAR)
        if rule := world.live(name, steps):
            words = ",".join(f"{one}:{drawn}" for one, drawn in simulated_year.shortest(world, name, steps))
            click.echo(f"A year breaks a rule: {rule}. The shortest one: --seed {name} --steps {words}")
            return False
        sums.update(world.counts())
    figures = ", ".join(f"{count:,} {what}" for what, count in sums.items())
    click.echo(f"{number:,} years, {figures}; seed {seed}, in {time.monotonic() - began:.0f} seconds")
    return True


def caught(world: SimulatedYear, twin: str) -> str:
    """Return the rule that a twin of the program breaks, if it does so within some years."""
    names = [f"{twin} {number}" for number in range(YEARS_OF_TWIN)]
    with patch.object(*TWINS[twin]), patch.object(world, "bursts", FEW):
        found = (world.live(one, simulated_year.focused_steps(one, STEPS_OF_TWIN)) for one in names)
        return next(filter(None, found), "")


@click.command()
@click.option("--seed", default="1", show_default=True, help="Draws all that happens.")
@click.option("--deliveries", default=20_000, show_default=True, help="So many, of all years together.")
@click.option("--steps", help="One year of these steps, as it was printed when it broke a rule.")
def year(seed: str, deliveries: int, steps: str | None) -> None:
    """Live years of a book in virtual time, then years with each broken twin of the program."""
    with TemporaryDirectory(dir=MEMORY if Path(MEMORY).is_dir() else None) as folder:
        world = SimulatedYear(Path(folder), Rules)
        if steps is not None:
            pairs = (one.partition(":") for one in steps.split(","))
            rule = world.live(seed, [(name, int(drawn)) for name, _, drawn in pairs])
            is_fine = not rule
            click.echo(rule or "All rules hold.")
        else:
            is_fine = years(world, seed, deliveries)
            for twin in TWINS:
                rule = caught(world, twin)
                click.echo(f"twin {twin}: {f'caught ({rule})' if rule else 'NOT CAUGHT'}")
                is_fine &= bool(rule)
    raise SystemExit(0 if is_fine else 1)
