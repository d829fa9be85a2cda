"""A listener and the server behind it are killed again and again: every event is forwarded, none is lost."""

import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from flask import Flask

from guestbook.storage.database import db
from tests.support import factories, processes, site
from tests.support.api_client import new_token
from tests.support.processes import Started
from tests.support.receiver import Answer, Receiver

PROGRAM = str(Path(sys.executable).with_name("guestbook"))
COMMENTS = 40
KILLS = 6


def test_whatever_is_killed_every_event_arrives(
    app: Flask, environ: dict[str, str], receiver: Receiver, tmp_path: Path
) -> None:
    hook, token = factories.webhook("pull:"), new_token(app)
    receiver.answer("/hook", Answer(delay=0.02))
    for _ in range(COMMENTS // 2):
        factories.sign()
    db.session.remove()
    with site.reserved_port() as reserved:
        place = site.address(reserved)
    serve = [PROGRAM, "serve", "--listen", place.removeprefix("http://")]
    listen = [PROGRAM, "listen", place, "--webhook", hook, "--forward", receiver.url("/hook")]
    luck = random.Random(7)
    with ExitStack() as stack:
        server = _Process(stack, serve, environ)
        processes.wait_for(lambda: processes.answers(place), 30, server.output)
        listener = _Process(stack, listen, {"BOOK_TOKEN": token, "HOME": str(tmp_path)})
        receiver.wait_for(1)
        for number in range(KILLS):
            time.sleep(luck.uniform(0.1, 0.4))
            (server if number % 2 else listener).restart()
            for _ in range(COMMENTS // 2 // KILLS + 1):
                factories.sign()
            db.session.remove()
        try:
            processes.wait_for(_all_processed, 40, listener.output)
        finally:
            said = server.output() + listener.output()
    assert "Traceback" not in said
    arrived, wanted = receiver.event_ids("/hook"), {row.event_id for row in factories.deliveries()}
    assert set(arrived) == wanted
    assert arrived.total() - len(arrived) <= KILLS, "at most the one in hand at each kill arrives twice"


class _Process:
    """A process that can be killed and started again."""

    def __init__(self, stack: ExitStack, command: list[str], environ: dict[str, str]) -> None:
        self._command, self._environ = command, processes.clean_environ(**environ)
        self._before = ""
        self._stack = stack
        self._start()

    def _start(self) -> None:
        self._one: Started = self._stack.enter_context(processes.started(self._command, env=self._environ))

    def restart(self) -> None:
        self._before += self._one.output()
        self._one.process.kill()
        self._one.process.wait()
        self._start()

    def output(self) -> str:
        return self._before + self._one.output()


def _all_processed() -> bool:
    found = all(row.status == "processed" for row in factories.deliveries())
    db.session.remove()
    return found
