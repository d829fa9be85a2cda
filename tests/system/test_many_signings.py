"""Two hundred visitors of forty networks sign at once, on two processes of a real server."""

import re
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from flask import Flask

from guestbook.comments.spam import spam_report
from guestbook.lib import clock
from guestbook.storage.database import db
from tests.support import processes
from tests.support.forks import Forks
from tests.support.visitor import stored
from tests.web.test_preferences import set_

NETWORKS, EACH, LIMIT = 40, 5, 3
AT_ONCE = 24  # visitors; each comes again when the book asks for it
TRIES_FOR = 300.0  # seconds
TOKEN = re.compile('name="token" value="([^"]+)"')


@pytest.fixture
def addresses(app: Flask, environ: dict[str, str], forks: Forks) -> Iterator[list[str]]:
    """Two servers of the book behind a proxy that names the visitors' addresses."""
    set_(app, rate=str(LIMIT), flood="10000")
    settings = {**environ, "GUESTBOOK_TRUSTED_PROXIES": "1"}
    with forks.serving(settings) as (first, _), forks.serving(settings) as (second, _):
        yield [first, second]


def sign(address: str, token: str, network: int, number: int) -> int:
    """Send a form, again while the book is busy, as a visitor would; return the last answer's status."""
    form = {"name": f"N{network}", "message": f"Hello {number}", "website": "", "subject": "", "token": token}
    end = time.monotonic() + TRIES_FOR
    with requests.Session() as session:
        session.trust_env = False
        while True:
            headers = {"X-Forwarded-For": f"198.51.100.{network}"}
            answer = session.post(
                f"{address}/comments", data=form, headers=headers, allow_redirects=False, timeout=60
            )
            if answer.status_code != 503 or time.monotonic() > end:
                return answer.status_code


def test_nothing_is_lost_and_the_limits_are_exact(app: Flask, addresses: list[str]) -> None:
    tokens = [TOKEN.findall(processes.fetch(address)[1])[0] for address in addresses]
    visits = [(network, number) for number in range(EACH) for network in range(NETWORKS)]

    def visit(one: tuple[int, int]) -> tuple[int, int]:
        server = sum(one) % len(addresses)
        return one[0], sign(addresses[server], tokens[server], *one)

    with ThreadPoolExecutor(AT_ONCE) as visitors:
        answers = Counter(visitors.map(visit, visits))
    expected = {(network, 303): LIMIT for network in range(NETWORKS)}
    expected |= {(network, 429): EACH - LIMIT for network in range(NETWORKS)}
    assert answers == expected
    rows = stored(app)
    assert Counter(row.name for row in rows) == {f"N{network}": LIMIT for network in range(NETWORKS)}
    assert {row.status for row in rows} == {"published"}
    with app.app_context():
        [refused] = spam_report.refused_lately(db.session(), clock.now())
    assert refused.reason == "rate"
    assert 0 < refused.number <= NETWORKS * (EACH - LIMIT)  # a count does not let a visitor wait
