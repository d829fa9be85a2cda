"""A unit of work: a request, a command, or a transaction of a pass. It may run more than once.

Slow work, such as an owner's template, must not run while a transaction keeps others from writing. So the
transaction asks for the work, is rolled back, and runs again when the result is there. Comments and their
deliveries are still stored together. Ids and times are the same in each run, because results depend on them.

    complete(do):  run do ──▶ transaction: ask(key, work) ──▶ no result yet: roll back, raise NotYet
                      ▲                                            │
                      └────────── run the work outside ◀───────────┘      at most ROUNDS times
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, TypeVar

from guestbook.lib import clock, ids

ROUNDS = 5  # then give up: others keep changing what the work depends on

T = TypeVar("T")


class NotYet(Exception):
    """The transaction asked for work that has no result yet, and was rolled back."""


class StillChanging(Exception):
    """What the work depends on was different each time."""

    def __init__(self) -> None:
        super().__init__("Others kept changing what this depends on. Please try again.")


class Unit:
    """The work that one unit has asked for, and its results."""

    def __init__(self) -> None:
        self.results: dict[Hashable, Any] = {}
        self.wanted: dict[Hashable, Callable[[], Any]] = {}
        self.transactions = 0  # that are open
        self.is_last = False  # in the last round no work is accepted
        self._same: defaultdict[str, list[Any]] = defaultdict(list)
        self._used: Counter[str] = Counter()

    def work(self) -> None:
        """Do the work that was asked for, and start another round."""
        for key, work in self.wanted.items():
            self.results[key] = work()
        self._used.clear()
        self.wanted.clear()

    def same(self, kind: str, make: Callable[[], T]) -> T:
        """Return the value that the last round got here: the first, second … of its kind."""
        made = self._same[kind]
        if self._used[kind] == len(made):
            made.append(make())
        self._used[kind] += 1
        result: T = made[self._used[kind] - 1]
        return result


_current: ContextVar[Unit | None] = ContextVar("unit", default=None)


def complete(do: Callable[[], T]) -> T:
    """Run a unit of work, again and again until its transactions have all results that they ask for."""
    unit = Unit()
    for number in range(ROUNDS + 1):
        unit.is_last = number == ROUNDS
        with _as_current(unit):
            try:
                return do()
            except NotYet:
                pass
        unit.work()
    raise StillChanging


@contextmanager
def transaction() -> Iterator[None]:
    """Mark a transaction of the unit; raises NotYet at its end, before the commit, if a result is missing."""
    unit = _current.get() or Unit()
    with _as_current(unit):
        unit.transactions += 1
        try:
            yield
        except Exception as error:
            if unit.wanted:  # the error may come from a missing result
                raise NotYet from error
            raise
        finally:
            unit.transactions -= 1
        if unit.wanted:
            raise NotYet


def ask(key: Hashable, work: Callable[[], T], meanwhile: T) -> T:
    """Return the result of the work, or `meanwhile` when a transaction is open and the result is missing."""
    unit = _current.get()
    if unit is None or not unit.transactions:
        return work()
    if key in unit.results:
        result: T = unit.results[key]
        return result
    if unit.is_last:
        raise StillChanging
    unit.wanted[key] = work
    return meanwhile


def now() -> datetime:
    """Return the time, the same in each round."""
    unit = _current.get()
    return unit.same("time", clock.now) if unit else clock.now()


def new_id() -> str:
    """Return a new id, the same in each round."""
    unit = _current.get()
    return unit.same("id", ids.new) if unit else ids.new()


@contextmanager
def _as_current(unit: Unit) -> Iterator[None]:
    token = _current.set(unit)
    try:
        yield
    finally:
        _current.reset(token)
