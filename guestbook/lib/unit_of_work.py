"""A unit of work: a request, a command, or a transaction of a pass. It may be done more than once.

What takes long, such as an owner's template, must not be done while a transaction keeps others from writing.
So the transaction asks for it (`ask`), is undone, and is done again when the result is there. Comments and
their deliveries are still stored together. Ids and times are the same each time, for results depend on them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from typing import Any, TypeVar

from guestbook.lib import clock, ids

ROUNDS = 5  # after which what is still asked for is refused: others keep changing what it depends on

T = TypeVar("T")


class NotYet(Exception):
    """The transaction asked for what was not done yet, and was undone."""


class StillChanging(Exception):
    """What was asked for changed each time."""

    def __init__(self) -> None:
        super().__init__("What it depends on was changed again and again meanwhile. Please try it again.")


class Unit:
    """What one unit of work has asked for, and what came of it."""

    def __init__(self) -> None:
        self.results: dict[Hashable, Any] = {}
        self.wanted: dict[Hashable, Callable[[], Any]] = {}
        self.transactions = 0  # that are open
        self.is_last = False  # whether nothing more is waited for
        self._same: defaultdict[str, list[Any]] = defaultdict(list)
        self._used: Counter[str] = Counter()

    def begin(self) -> None:
        """Start again from the beginning."""
        self._used.clear()
        self.wanted.clear()

    def work(self) -> None:
        """Do what was asked for."""
        for key, work in self.wanted.items():
            self.results[key] = work()

    def same(self, kind: str, make: Callable[[], T]) -> T:
        """Return what was made at this place the time before, of the same kind: the way may be another."""
        made = self._same[kind]
        if self._used[kind] == len(made):
            made.append(make())
        self._used[kind] += 1
        result: T = made[self._used[kind] - 1]
        return result


_current: ContextVar[Unit | None] = ContextVar("unit", default=None)


def complete(do: Callable[[], T]) -> T:
    """Do a unit of work, as often as it takes until all that its transactions ask for is there."""
    unit = Unit()
    for number in range(ROUNDS + 1):
        unit.is_last = number == ROUNDS
        unit.begin()
        with _as_current(unit):
            try:
                return do()
            except NotYet:
                pass
        unit.work()
    raise StillChanging


@contextmanager
def transaction() -> Iterator[None]:
    """Belong to the unit of work; raises NotYet at the end, before the commit, if it has asked for more."""
    unit = _current.get() or Unit()
    with _as_current(unit):
        unit.transactions += 1
        try:
            yield
        except Exception as error:
            if unit.wanted:  # a refusal may lack what is not known yet
                raise NotYet from error
            raise
        finally:
            unit.transactions -= 1
        if unit.wanted:
            raise NotYet


def ask(key: Hashable, work: Callable[[], T], meanwhile: T) -> T:
    """Return the result of the work, or, where a transaction is open and it is not done yet, `meanwhile`."""
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
    """Return this moment, or what it was when the unit of work was here before."""
    unit = _current.get()
    return unit.same("time", clock.now) if unit else clock.now()


def new_id() -> str:
    """Return a new id, or the one that the unit of work has made here before."""
    unit = _current.get()
    return unit.same("id", ids.new) if unit else ids.new()


@contextmanager
def _as_current(unit: Unit) -> Iterator[None]:
    token = _current.set(unit)
    try:
        yield
    finally:
        _current.reset(token)
