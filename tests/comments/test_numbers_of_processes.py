"""Numbers of comments when several web servers take some at once: dense, unique, in the order of signing."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from sqlalchemy import select

from guestbook.storage.database import db
from guestbook.storage.models import Comment
from tests.conftest import running
from tests.support import databases
from tests.support.receiver import ROOT
from tests.support.visitor import let_write

PROCESSES, EACH = 4, 6
PROGRAM = """
import json, re, sys, time, guestbook
from tests.support.visitor import GREETING, Visitor

place, many = int(sys.argv[1]), int(sys.argv[2])
visitor = Visitor(guestbook.create_app())
form = visitor.form() | GREETING
print("ready", flush=True)
sys.stdin.readline()
for number in range(many):
    words = f"lantern{place}x{number} and boat{place}y{number}"
    began = time.monotonic()
    answer = visitor.send(form | {"message": words})
    ended = time.monotonic()
    assert answer.status_code == 303, answer.text
    print(json.dumps([began, ended, re.search("signed=(.*)#", answer.location)[1]]), flush=True)
"""


class Signed(NamedTuple):
    """A comment as the process saw it that sent it."""

    began: float  # seconds, on a clock that all processes share
    ended: float
    comment_id: str


def sign_at_once(environ: Mapping[str, str]) -> list[list[Signed]]:
    """Let all processes begin at the same moment; return what each of them signed, in its order."""
    databases.no_process()
    started = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(place), str(EACH)],
            env={**os.environ, **environ},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in range(PROCESSES)
    ]
    try:
        for process in started:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
        for process in started:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        printed = [process.communicate(timeout=200)[0].splitlines() for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    return [[Signed(*json.loads(line)) for line in lines] for lines in printed]


def test_each_number_is_given_once_and_in_the_order_of_signing(each_environ: dict[str, str]) -> None:
    with running(each_environ) as app:
        let_write(app)
        of_processes = sign_at_once(each_environ)
        with app.app_context():
            number_of = {row.id: row.number for row in db.session.scalars(select(Comment))}
    assert sorted(number or 0 for number in number_of.values()) == list(range(1, PROCESSES * EACH + 1))
    assert [len(signed) for signed in of_processes] == [EACH] * PROCESSES
    in_order = sorted(
        (one for signed in of_processes for one in signed), key=lambda one: number_of[one.comment_id]
    )
    latest_start = 0.0
    for one in in_order:  # nobody has a lower number who began after another had theirs
        assert one.ended > latest_start
        latest_start = max(latest_start, one.began)
    for signed in of_processes:
        assert all(number_of[one.comment_id] < number_of[after.comment_id] for one, after in pairwise(signed))
