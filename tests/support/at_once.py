"""The same, done by several threads that begin together."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from flask import Flask

from guestbook.storage.database import db

R = TypeVar("R")


def at_once(app: Flask, count: int, do: Callable[[int], R]) -> list[R]:
    """Do it in so many threads, each with its number. Return what came of each; raise what one raises."""
    start = threading.Barrier(count)

    def run(number: int) -> R:
        with app.app_context():
            start.wait()
            try:
                return do(number)
            finally:
                db.session.remove()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count), timeout=60))
