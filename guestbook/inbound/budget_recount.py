"""Recount the sources' budgets while a pass works, so that new events get the room of proven ones."""

import time

from sqlalchemy import Engine

from guestbook.storage import source_budget

RECOUNT_EVERY = 1.0  # seconds, at least
SHARE = 20  # a recount takes at most one part in so many of the time


class BudgetRecount:
    """Recounts after batches, when the last recount is long enough ago."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._next_at = 0.0  # on the monotonic clock
        self.is_needed = False

    def look(self) -> None:
        """Recount if a batch was processed and it is time."""
        began = time.monotonic()
        if self.is_needed and began >= self._next_at:
            self.is_needed = False
            source_budget.recount(self._engine)
            ended = time.monotonic()
            self._next_at = ended + max(RECOUNT_EVERY, SHARE * (ended - began))
