"""Threads that share transactions: one of them does the work of all who have asked meanwhile."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

PACE = 0.01  # seconds between two transactions: so many come together, and the web gets its turn in between

A = TypeVar("A")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Ticket(Generic[A, R]):
    ask: A
    answers: list[R | Exception] = field(default_factory=list)  # one, or none as long as it waits
    called: threading.Event = field(default_factory=threading.Event)  # served, or to serve the others


class Together(Generic[A, R]):
    """Calls `do` with all that was asked since the last call.

    It returns as many answers in their order. An answer that is an exception is raised to the one who asked,
    and what `do` raises to all of them.
    """

    def __init__(self, do: Callable[[Sequence[A]], Sequence[R | Exception]]) -> None:
        self._do = do
        self._waiting: list[_Ticket[A, R]] = []
        self._lock = threading.Lock()
        self._is_led = False
        self._not_before = 0.0  # on the monotonic clock

    def ask(self, what: A) -> R:
        """Return the answer."""
        ticket: _Ticket[A, R] = _Ticket(what)
        with self._lock:
            self._waiting.append(ticket)
            leads, self._is_led = not self._is_led, True
        if not leads:
            ticket.called.wait()
        if not ticket.answers:
            self._lead()
        (answer,) = ticket.answers
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _lead(self) -> None:
        """Serve all that wait by now, our own ticket among them, and name who leads next."""
        time.sleep(max(0.0, self._not_before - time.monotonic()))
        with self._lock:
            tickets, self._waiting = self._waiting, []
        try:
            self._serve(tickets)
        finally:
            self._not_before = time.monotonic() + PACE
            with self._lock:
                heir = self._waiting[0] if self._waiting else None
                self._is_led = heir is not None
            for ticket in (*tickets, *([heir] if heir else [])):
                ticket.called.set()

    def _serve(self, tickets: Sequence[_Ticket[A, R]]) -> None:
        try:
            answers = self._do([ticket.ask for ticket in tickets])
        except Exception as error:
            answers = [error] * len(tickets)
        for ticket, answer in zip(tickets, answers, strict=True):
            ticket.answers.append(answer)
