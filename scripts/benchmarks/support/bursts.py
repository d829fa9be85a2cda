"""Many requests to a served book, and how long each answer takes."""

import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import urllib3

Request = tuple[str, bytes, Mapping[str, str]]  # path, body, headers


class Burst(NamedTuple):
    """The answers to one burst."""

    times: list[float]  # ms
    statuses: Counter[int]


def post(
    port: int, make: Callable[[int], Request], count: int, *, at_once: int = 1, rate: float = 0
) -> Burst:
    """Post so many requests: so many at once, and at so many a second if a rate is given."""
    pool = urllib3.HTTPConnectionPool("127.0.0.1", port, maxsize=at_once, timeout=60, retries=False)
    start = time.perf_counter()

    def ask(number: int) -> tuple[float, int]:
        if rate:
            time.sleep(max(0.0, start + number / rate - time.perf_counter()))
        path, body, headers = make(number)
        before = time.perf_counter()
        answer = pool.urlopen("POST", path, body=body, headers=headers, redirect=False)
        return (time.perf_counter() - before) * 1000, answer.status

    with pool, ThreadPoolExecutor(at_once) as threads:
        answers = list(threads.map(ask, range(count)))
    return Burst([took for took, _ in answers], Counter(status for _, status in answers))
