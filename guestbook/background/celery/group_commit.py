"""Group commit: one thread commits the requests of all others, many in one transaction."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Generic, TypeVar

COMMIT_INTERVAL = 0.01  # seconds between two transactions: requests gather meanwhile, and the web can write

A = TypeVar("A")
R = TypeVar("R")


class GroupCommit(Generic[A, R]):
    """Calls `commit` with all requests that have come since its last call.

    It returns a result for each, in their order. A result that is an exception is raised in the thread of its
    request, and an exception that `commit` raises in the threads of all.
    """

    def __init__(self, commit: Callable[[Sequence[A]], Sequence[R | Exception]]) -> None:
        self._commit = commit
        self._requests: SimpleQueue[tuple[A, Future[R]]] = SimpleQueue()
        threading.Thread(target=self._run, name="group commit", daemon=True).start()

    def submit(self, request: A) -> R:
        """Wait for the transaction with this request in it, and return the result."""
        future: Future[R] = Future()
        self._requests.put((request, future))
        return future.result()

    def waiting(self) -> int:
        """Return how many requests wait for the next transaction."""
        return self._requests.qsize()

    def _run(self) -> None:
        while True:
            batch = [self._requests.get()]
            batch += [self._requests.get() for _ in range(self._requests.qsize())]
            self._serve(batch)
            del batch  # or the last one would live until the next request
            time.sleep(COMMIT_INTERVAL)

    def _serve(self, batch: Sequence[tuple[A, "Future[R]"]]) -> None:
        results: Sequence[R | Exception]
        try:
            results = self._commit([request for request, _ in batch])
        except Exception as error:
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
