"""How much chance a test gets: little in every run, as much as you like on request.

- `--hypothesis-profile=thorough` tries forty times as many examples, and others each time.
- `GUESTBOOK_TEST_KILLS=35` lets so many processes die in each test of kills at random.
- `GUESTBOOK_TEST_BACKLOG=100000` drains so many deliveries in one pass.
"""

import os

from hypothesis import settings

FEW, THOROUGH = 25, 1000  # examples
settings.register_profile("few", max_examples=FEW, deadline=None, derandomize=True)
settings.register_profile("thorough", max_examples=THOROUGH, deadline=None)
settings.load_profile("few")


def examples(few: int) -> int:
    """Return how many examples to try where so many will do in every run."""
    return few * settings.default.max_examples // FEW  # type: ignore[union-attr]  # there is a default


def kills(few: int = 10) -> int:
    """Return how many processes to kill at random."""
    return int(os.environ.get("GUESTBOOK_TEST_KILLS", few))


def backlog() -> int:
    """Return how many deliveries a long pass has to drain."""
    return int(os.environ.get("GUESTBOOK_TEST_BACKLOG", "8000"))
