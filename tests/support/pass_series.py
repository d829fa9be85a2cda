"""Passes that follow each other on several hosts, as cron starts them, but without a minute between them."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.support.forks import Command, Forks

TRY_LATER = 75
STEP = 0.3  # seconds between two steps
AWAY = ("The database cannot be used now: ", "The broker cannot be used now: ")


@dataclass
class PassSeries:
    """Call `look` often: it starts the next passes. They may end with 0, or with one line and 75."""

    forks: Forks
    environ: Mapping[str, str]
    command: tuple[str, ...]
    hosts: int
    seconds: float  # A pass should not take longer.
    most_over: float  # It may not take so many seconds more.
    point: str | None = None
    ended: Counter[int] = field(default_factory=Counter)  # by exit code
    over: float = 0.0  # seconds that the longest one took more
    complaints: list[str] = field(default_factory=list)
    running: dict[int, tuple[Command, float]] = field(default_factory=dict)

    def look(self, *, start: bool = True) -> None:
        """Note which passes have ended, and start others in their place."""
        for host in range(self.hosts):
            if host in self.running and self._has_ended(*self.running[host]):
                del self.running[host]
            if start and host not in self.running:
                own = {"GUESTBOOK_DATA_DIR": f"{self.environ['GUESTBOOK_DATA_DIR']}/host{host}"}
                words = *self.command, "--stay", f"--max-seconds={self.seconds}"
                started = self.forks.start({**self.environ, **own}, *words, point=self.point)
                self.running[host] = started, time.monotonic()

    def watch(self, seconds: float, step: Callable[[], object] = list) -> None:
        """Let them follow each other for so long, and do something else again and again."""
        until, next_step = time.monotonic() + seconds, 0.0
        while (now := time.monotonic()) < until:
            self.look()
            if now >= next_step:
                step()
                next_step = now + STEP
            time.sleep(0.05)

    def end(self) -> None:
        """Wait for the ends of those that run."""
        while self.running:
            self.look(start=False)
            time.sleep(0.05)

    def _has_ended(self, one: Command, began: float) -> bool:
        code, over = one.poll(), time.monotonic() - began - self.seconds
        self.over = max(self.over, over)
        if code is None and over <= self.most_over:
            return False
        one.end()
        self.ended[one.wait()] += 1
        said = one.printed
        is_silent = code == 0 and not said
        if not is_silent and not (code == TRY_LATER and said.startswith(AWAY) and said.count("\n") == 1):
            took = over + self.seconds
            self.complaints.append(f"a pass ended with {code} after {took:.0f} s and said {said[-2000:]!r}")
        return True
