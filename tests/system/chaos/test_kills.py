"""Kills at random: overlapping passes die by SIGKILL, over and over, and nothing is lost.

The passes have data folders of their own, as on two hosts, so no lock keeps them apart. When one is
killed its leases are made to run out at once; those of the living are left alone.
"""

import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import amount, receiver
from tests.support.book import Book
from tests.support.forks import Command, Forks
from tests.support.receiver import Line

SEED = 20261125
KILLS = amount.kills(6)
TOGETHER = 3  # passes at work at the same time
WEBHOOKS = 4
EVENTS_AHEAD = 25  # that wait before each kill, for each webhook
LATENCY = (0.005, 0.03)  # seconds
FAILING = 0.03  # of the answers are 500
LONGEST_LIFE = 0.15  # seconds at work before the kill
MOST_SECONDS = 100  # for the kills of one mode, on a machine that is busy with other things too


@dataclass
class Chaos:
    """What the killing needs and what it counts."""

    book: Book
    forks: Forks
    environ: dict[str, str]
    folder: Path
    luck: random.Random = field(default_factory=lambda: random.Random(SEED))
    alive: list[Command] = field(default_factory=list)
    starts: int = 0
    killed: list[str] = field(default_factory=list)  # their names
    leased_at_kills: int = 0  # rows that the killed had in hand

    def start(self) -> None:
        """Start one more pass, with a data folder of its own."""
        self.starts += 1
        environ = {**self.environ, "GUESTBOOK_DATA_DIR": str(self.folder / f"host{self.starts}")}
        self.alive.append(self.forks.start(environ, "cron", "--stay", "--concurrency", "16"))

    def kill_one(self) -> None:
        """Kill any of those at work, at any moment; its leases run out."""
        victim = self.alive.pop(self.luck.randrange(len(self.alive)))
        name = victim.is_at_work()
        time.sleep(self.luck.uniform(0, LONGEST_LIFE))
        victim.kill()
        self.killed.append(name)
        self.leased_at_kills += self.book.expire(f"{name}.")

    @property
    def kills(self) -> int:
        return len(self.killed)

    def stock_up(self) -> None:
        """Publish until enough waits for the kill to find passes at work."""
        waiting = self.book.statuses()["new"] // WEBHOOKS
        if waiting < EVENTS_AHEAD:
            self.book.publish(EVENTS_AHEAD)

    def finish(self) -> None:
        """Let those alive end as SIGTERM asks, and run plain passes until all is done."""
        for command in self.alive:
            command.is_at_work()
            command.terminate()
        for command in self.alive:
            assert command.wait() == 0
            assert command.printed == ""
        for name in self.killed:  # a server may still have run the last COMMIT of a client that was gone
            self.leased_at_kills += self.book.expire(f"{name}.")
        assert self.book.leased() == 0
        done = self.forks.run(self.environ, "cron")
        assert done.printed == ""


@pytest.mark.timeout(200)
def test_random_kills_of_overlapping_passes_lose_nothing_and_repeat_little(
    each_book: Book,
    each_environ: dict[str, str],
    forks: Forks,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = {**each_environ, "GUESTBOOK_TIMEOUT": "5", "GUESTBOOK_RETRY_SCHEDULE": ",".join(["0"] * 30)}
    chaos = Chaos(each_book, forks, environ, tmp_path)
    log, begun = tmp_path / "log", time.monotonic()
    with receiver.in_a_process(log, latency=LATENCY, failing=FAILING, seed=SEED) as base_url:
        for number in range(WEBHOOKS):
            each_book.webhook(f"{base_url}/{number}")
        while chaos.kills < KILLS:
            assert time.monotonic() - begun < MOST_SECONDS, f"only {chaos.kills} kills"
            chaos.stock_up()
            while len(chaos.alive) < TOGETHER:
                chaos.start()
            chaos.kill_one()
        seconds = time.monotonic() - begun
        chaos.finish()
    _check(chaos, receiver.read_log(log))
    with capsys.disabled():
        mode = request.node.callspec.params["each_environ"]
        print(f"\n{mode}: {_figures(chaos, receiver.read_log(log))}, {seconds:.0f} s")


def _check(chaos: Chaos, lines: list[Line]) -> None:
    """Everything arrived, everything is final, and each repetition is owed to a kill."""
    book = chaos.book
    book.check()
    assert set(book.statuses()) == {"processed"}
    paths = {book_id: path for path, book_id in _webhook_ids(book).items()}
    arrivals = Counter((line.path, line.event_id) for line in lines)
    successes = Counter((line.path, line.event_id) for line in lines if line.status == 200)
    for row in book.deliveries():
        here = (paths[row.webhook_id], row.event_id)
        assert successes[here] >= 1, row
        # A claim sends once at the most; what arrived and is no recorded attempt was lost with a killed pass.
        assert row.attempts <= arrivals[here] <= row.claims, row
    unrecorded = arrivals.total() - len(book.attempts())
    assert unrecorded <= chaos.leased_at_kills
    assert arrivals.keys() == {(paths[row.webhook_id], row.event_id) for row in book.deliveries()}


def _webhook_ids(book: Book) -> dict[str, str]:
    rows = {row.webhook_id for row in book.deliveries()}
    return {"/" + book.webhook_row(row).url.rpartition("/")[2]: row for row in rows}


def _figures(chaos: Chaos, lines: list[Line]) -> str:
    successes = Counter((line.path, line.event_id) for line in lines if line.status == 200)
    total = chaos.book.statuses()["processed"]
    unrecorded = len(lines) - len(chaos.book.attempts())
    duplicates = successes.total() - len(successes)
    return (
        f"kills {chaos.kills}, deliveries {total}, lost {total - len(successes)}, duplicates {duplicates}, "
        f"duplicates per kill {duplicates / chaos.kills:.2f}, sent and unrecorded when killed {unrecorded}, "
        f"leased when killed {chaos.leased_at_kills}"
    )
