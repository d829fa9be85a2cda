"""Commands that die by SIGKILL at calls that a seed draws, anywhere between their start and their end."""

import signal
from collections import Counter
from dataclasses import dataclass, field
from random import Random

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
