"""The steps of a year of a simulated book: what visitors, the owner, cron, receivers and hosts do.

Each step has a seed of its own, so a year can be replayed, and made shorter.
"""

from contextlib import suppress
from random import Random
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from guestbook.comments import comment_actions
from guestbook.comments.comment_form import Draft
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock
from guestbook.lib.current_process import in_silence
from guestbook.queue import redelivery
from guestbook.queue.comment_order import END
from guestbook.storage import database, row_changes, upgrade
from guestbook.storage.database import db
from guestbook.storage.models import Delivery, Webhook
from guestbook.storage.models.comment import KNOWN_STATUSES
from tests.support.simulated_book import ANSWERS, DAY, FOR_EVER, HOUR, KilledError, SimulatedBook, Steps

VERDICTS = [Classification("published"), Classification("held", ("why",)), Classification("spam", ("why",))]
EVENTS = (
    "comment.created comment.published comment.replied comment.deleted",
    "comment.created comment.deleted",
    "comment.created comment.published",
    "comment.created webhook.disabled webhook.failing webhook.recovered",
)
# The steps of a year, and how often each comes.
STEPS = {
    **{"sign": 30, "moderate": 14, "cron": 40, "wait": 24, "behave": 8, "redeliver": 5, "webhook": 5},
    **{"resume": 12, "kill": 4, "jump": 2, "nap": 1, "routine": 6, "fill": 1, "upgrade": 0.15},
}
WAITS = (1, 10, 60, 60, 600, HOUR, 6 * HOUR, DAY, DAY, 5 * DAY, 30 * DAY, 60 * DAY)  # seconds
EARLIER = (  # undoes the last two migrations
    *("ALTER TABLE comments DROP COLUMN mood", "ALTER TABLE webhooks DROP COLUMN version"),
    *("ALTER TABLE deliveries DROP COLUMN version", "UPDATE alembic_version SET version_num = '0031'"),
)
# The steps in which a defect shows itself, by a word of its name.
FOCUS = {
    "redelivery": "sign cron redeliver",
    "deletion": "sign cron moderate resume",
    "repair": "sign behave cron jump",
    "jump": "sign jump cron routine",
    "retention": "routine sign",
    "fence": "sign cron wait resume",
    "lease": "sign cron wait resume",
    "rate": "webhook sign cron",
    "": "sign behave cron",
}


class SimulatedYear(SimulatedBook):
    """A book on which these steps can be done."""

    bursts: tuple[int, ...] = (1, 2, 5, 30, 100)  # So many comments come at once.

    def sign(self, drawn: Random) -> None:
        """Let visitors sign the book."""
        with database.writing() as session:
            for _ in range(drawn.choice(self.bursts)):
                verdict, draft = drawn.choices(VERDICTS, (6, 2, 1))[0], Draft("Ada", None, "Hello", {})
                comment_actions.sign(session, draft, verdict, settings=self.settings)

    def moderate(self, drawn: Random) -> None:
        """Let the owner moderate, answer, edit or delete a comment."""
        if not self.rules.comments:
            return
        key = drawn.choice(sorted(self.rules.comments)[-drawn.choice((5, 50, 10**6)) :])
        action = drawn.choice(("publish", "hold", "spam", "trash", "restore", "delete", "reply", "edit"))
        self.deleting = key if action == "delete" else None
        with database.writing() as session:
            for comment in comment_actions.lock(session, [key]):
                if action == "reply":
                    comment_actions.reply(session, comment, f"Thanks {drawn.random()}", self.settings)
                elif action == "edit":
                    draft = Draft("Ada", None, f"Hello {drawn.random()}", {})
                    comment_actions.edit(session, comment, draft, self.settings)
                else:
                    comment_actions.act(session, comment, action, self.settings)

    def redeliver(self, drawn: Random) -> None:
        """Let the owner redeliver some deliveries; with them go those that follow."""
        rows = self.rules.rows
        if not rows:
            return
        if drawn.random() < 0.3:
            wanted = [row.id for row in rows.values() if row.status == "failed"]
        else:
            wanted = drawn.sample(sorted(rows), min(len(rows), drawn.randint(1, 4)))
        self.redelivering = self.redeliverable(wanted, clock.to_text(clock.now()))
        self.rules.redelivered |= {self.rules.places[one].pair for one in self.redelivering}
        groups = redelivery.forecast(db.session(), Delivery, Delivery.id.in_(wanted), clock.now())
        with database.writing() as session:
            free = {row.id for row in redelivery.make_due(session, Delivery, wanted, clock.now())}
        self.rules.must(len(free) == redelivery.total(groups), "the forecast of a redelivery is right")
        self.rules.must(
            free == self.redelivering, "a redelivery takes the later ones along, and no leased ones"
        )

    def webhook(self, drawn: Random) -> None:
        """Let the owner add, change, disable, enable or delete a webhook."""
        hooks = sorted(self.rules.hooks)
        action = drawn.choice(("add", "delete", "able", "able", "move", "rate", "rotate"))
        if len(hooks) < 4 or (action == "add" and len(hooks) < 7):
            url = f"https://r{drawn.randrange(10**9)}.example/"
            row = Webhook(name=url, url=url, events=drawn.choice(EVENTS), headers={})
            with database.writing() as session:
                row_changes.add(session, row)
            return
        key = drawn.choice(hooks)
        if action == "delete":
            self.unwanted = key  # A full disk may stop this between two batches of its deliveries.
            row_changes.delete_with_rows(self.engine, Webhook, key)
            return
        with database.writing() as session:
            hook = session.get_one(Webhook, key)
            if action == "able":
                row_changes.enable(session, hook) if hook.disabled_at else row_changes.disable(session, hook)
            elif action == "move":
                hook.move(f"https://r{drawn.randrange(10**9)}.example/", "json")
            elif action == "rate":
                hook.rate, hook.next_slot_at = drawn.choice((None, "2/s", "5/m", "30/m")), None
                self.rated[key] = self.true
            else:
                hook.rotate_secret(clock.now())

    def behave(self, drawn: Random) -> None:
        """Let a receiver answer in another way from now on."""
        if urls := sorted(hook.url for hook in self.rules.hooks.values()):
            answers = drawn.choice(
                (["well"], drawn.sample(sorted(ANSWERS), 1), sorted(ANSWERS), ["well", "fails"])
            )
            self.answers[drawn.choice(urls)] = answers

    def cron(self, drawn: Random) -> None:
        """Let cron start a pass; it may be cut off, or killed at a statement."""
        fuse = drawn.randint(1, 150) if drawn.random() < 0.2 else 0
        budget = drawn.randint(1, 40) if drawn.random() < 0.4 else FOR_EVER
        self.start(drawn.randrange(3), fuse, budget, housekeeping=drawn.random() < 0.3)

    def routine(self, _drawn: Random) -> None:
        """Let some days go on as they should. Retention waits for such days."""
        for _ in range(4):
            self.true += 0.8 * DAY
            self.start(0, 0, FOR_EVER, housekeeping=True)

    def resume(self, drawn: Random) -> None:
        """Let a pass that was cut off go on; it may have been told to stop."""
        if self.running:
            one = drawn.choice(self.running)
            if one.stop and drawn.random() < 0.1:
                one.stop.set()
            self.go(one, drawn.randint(1, 40) if drawn.random() < 0.3 else FOR_EVER)

    def kill(self, drawn: Random) -> None:
        """Kill a pass that was cut off."""
        if self.running:
            one = drawn.choice(self.running)
            one.dead = True
            self.go(one, 1)

    def wait(self, drawn: Random) -> None:
        """Let time go on, perhaps without cron for days."""
        self.true += drawn.uniform(0.5, 1.5) * drawn.choice(WAITS)

    def jump(self, drawn: Random) -> None:
        """Set the clock of the only host."""
        if any(self.skews):
            return
        to = drawn.choice(
            (
                0.0,
                0.0,
                self.offset + drawn.choice((-1, 1)) * drawn.choice((30, 300, HOUR, DAY, 40 * DAY, 400 * DAY)),
            )
        )
        if to > self.offset + 2 * DAY:
            self.leapt = self.true
        self.set_back |= to < self.offset
        self.offset, self.jumped = to, self.true

    def nap(self, drawn: Random) -> None:
        """Let a host sleep for a while with its passes. Nothing that it has in hand may be sent then."""
        seconds = drawn.choice((20, 100, HOUR, DAY))
        host = drawn.randrange(3)
        self.true += seconds
        for one in self.running:
            one.slept += seconds * (one.host == host or not any(self.skews))

    def upgrade(self, _drawn: Random) -> None:
        """Let the tables be those of an earlier version, and the owner run the upgrade until it is done."""
        with database.write(self.engine) as connection:
            for sql in EARLIER:
                connection.exec_driver_sql(sql)
        for _ in range(9):
            with suppress(KilledError, OperationalError):
                upgrade.run(self.settings, progress=in_silence, waiting=lambda: None)
                return
            self.owner.dead = False

    def fill(self, drawn: Random) -> None:
        """Let the disk be full for a while."""
        self.full_until = self.true + drawn.choice((60, HOUR, DAY))

    def settle(self, _drawn: Random) -> None:
        """Let all be well, and send what waits."""
        self.full_until, self.answers = 0.0, {}
        for one in [*self.running]:
            self.go(one, FOR_EVER)
        for _ in range(60):
            self.true += 2 * DAY
            with database.writing() as session:
                for hook in session.scalars(select(Webhook)):
                    hook.enable()
                    hook.rate = None
            db.session.remove()
            self.rules.look(self.owner)
            if not any(row.status == "new" for row in self.rules.rows.values()):
                break
            self.start(0, 0, FOR_EVER, housekeeping=True)
            if self.broken:
                raise KilledError
        self.rules.settled()

    def redeliverable(self, wanted: list[str], now: str) -> set[str]:
        """Return these and what follows them about the same comment, unless one of those is leased."""
        rows, places, first = self.rules.rows, self.rules.places, dict[Any, int]()
        for row in map(rows.__getitem__, wanted):
            pair, sequence, _ = places[row.id]
            if not self.is_over(row):
                first[pair] = min(first.get(pair, sequence), sequence)
        some = [rows[one] for pair in first for one in self.rules.pairs[pair]]
        some = [row for row in some if places[row.id].sequence >= first[places[row.id].pair]]
        busy = {places[row.id].pair for row in some if (row.due_at or "") > now and self.is_held(row)}
        return {row.id for row in some if places[row.id].pair not in busy and not row.erased_at}

    def is_held(self, row: Any) -> bool:
        """Whether a pass has it in hand, or it is a deletion that waits for such a pass."""
        return bool(row.claimed_by or (row.event == END and not row.attempts))

    def is_over(self, row: Any) -> bool:
        """Whether a deletion of its comment came after it."""
        place, comment = self.rules.places[row.id], self.rules.comments.get(row.comment_id)
        mine = (self.rules.places[one] for one in self.rules.pairs[place.pair])
        ended = any(one.event == END and one.sequence > place.sequence for one in mine)
        is_known = comment is None or comment.status in KNOWN_STATUSES or row.event == END
        return bool(row.erased_at or (ended and row.comment_id) or not is_known)


def drawn_steps(seed: str, number: int) -> Steps:
    """Return the steps of a year."""
    drawn = Random(seed)
    names = drawn.choices([*STEPS], [*STEPS.values()], k=number)
    return [(name, drawn.getrandbits(32)) for name in ["webhook"] * 4 + ["sign", *names]]


def focused_steps(seed: str, number: int) -> Steps:
    """Return the steps of a year in which a defect shows itself soon whose name begins the seed."""
    drawn, focus = Random(seed), next(steps for word, steps in FOCUS.items() if word in seed)
    names = drawn.choices(focus.split(), k=number)
    return [(name, drawn.getrandbits(32)) for name in ["webhook"] * 8 + ["sign", *names]]


def shortest(world: SimulatedYear, seed: str, steps: Steps) -> Steps:
    """Leave out steps as long as the year without them breaks a rule."""
    size = len(steps) // 2
    while size:
        at = 0
        while at < len(steps):
            fewer = steps[:at] + steps[at + size :]
            if world.live(seed, fewer):
                steps = fewer
            else:
                at += size
        size //= 2
    return steps
