"""Numbers of comments when several web servers take some at once: dense, unique, in the order of signing."""

import re
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import pairwise, repeat
from typing import NamedTuple

import html5lib
import requests
from sqlalchemy import select

from guestbook.storage.database import db
from guestbook.storage.models import Comment
from tests.conftest import running
from tests.support.forks import Forks
from tests.support.visitor import GREETING, fields, let_write

SERVERS, EACH = 4, 6


class Signed(NamedTuple):
    """A comment as the visitor saw it who sent it."""

    began: float  # seconds
    ended: float
    comment_id: str


def sign_at_once(addresses: Sequence[str]) -> list[list[Signed]]:
    """Sign at all servers from the same moment on; return what was signed at each, in its order."""
    together = threading.Barrier(len(addresses))
    with ThreadPoolExecutor(len(addresses)) as visitors:
        return list(visitors.map(_sign, range(len(addresses)), addresses, repeat(together)))


def _sign(place: int, address: str, together: threading.Barrier) -> list[Signed]:
    signed = []
    with requests.Session() as visitor:
        visitor.trust_env = False
        page = html5lib.parse(visitor.get(address, timeout=60).text, namespaceHTMLElements=False)
        form = fields(page) | GREETING
        together.wait(60)
        for number in range(EACH):
            words = {"message": f"lantern{place}x{number} and boat{place}y{number}"}
            began = time.monotonic()
            answer = visitor.post(f"{address}/comments", form | words, timeout=60, allow_redirects=False)
            ended = time.monotonic()
            assert answer.status_code == 303, answer.text
            [comment_id] = re.findall("signed=(.*)#", answer.headers["Location"])
            signed.append(Signed(began, ended, comment_id))
    return signed


def test_each_number_is_given_once_and_in_the_order_of_signing(
    each_environ: dict[str, str], forks: Forks
) -> None:
    with running(each_environ) as app, ExitStack() as stack:
        let_write(app)
        servers = [stack.enter_context(forks.serving(each_environ)) for _ in range(SERVERS)]
        of_servers = sign_at_once([address for address, _ in servers])
        with app.app_context():
            number_of = {row.id: row.number for row in db.session.scalars(select(Comment))}
    assert sorted(number or 0 for number in number_of.values()) == list(range(1, SERVERS * EACH + 1))
    assert [len(signed) for signed in of_servers] == [EACH] * SERVERS
    in_order = sorted(
        (one for signed in of_servers for one in signed), key=lambda one: number_of[one.comment_id]
    )
    latest_start = 0.0
    for one in in_order:  # nobody has a lower number who began after another had theirs
        assert one.ended > latest_start
        latest_start = max(latest_start, one.began)
    for signed in of_servers:
        assert all(number_of[one.comment_id] < number_of[after.comment_id] for one, after in pairwise(signed))
