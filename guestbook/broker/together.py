"""Threads that share transactions: who comes first does the work of all who come meanwhile."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Ticket(Generic[A, R]):
    ask: A
    answer: list[R]  # empty until it is there
    error: BaseException | None = None


class Together(Generic[A, R]):
    """Calls `do` with all that was asked since the last call; it returns as many answers in their order."""

    def __init__(self, do: Callable[[Sequence[A]], Sequence[R]]) -> None:
        self._do = do
        self._waiting: list[_Ticket[A, R]] = []
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def ask(self, what: A) -> R:
        """Return the answer; raises what `do` raised for this one."""
        ticket: _Ticket[A, R] = _Ticket(what, [])
        with self._lock:
            self._waiting.append(ticket)
        with self._turn:
            if not ticket.answer and ticket.error is None:
                with self._lock:
                    tickets, self._waiting = self._waiting, []
                self._serve(tickets)
        if ticket.error is not None:
            raise ticket.error
        return ticket.answer[0]

    def _serve(self, tickets: Sequence[_Ticket[A, R]]) -> None:
        try:
            answers = self._do([ticket.ask for ticket in tickets])
        except Exception as error:
            if len(tickets) > 1:  # one that goes wrong shall go wrong alone
                for ticket in tickets:
                    self._serve([ticket])
            else:
                tickets[0].error = error
            return
        for ticket, answer in zip(tickets, answers, strict=True):
            ticket.answer.append(answer)
