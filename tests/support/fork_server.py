"""A process that has imported the guestbook once and forks commands of it, which are then killed.

A start of Python with Flask costs half a second of CPU, so fifty kills would take half a minute. A
forked child is a process like any other: it reads its settings, opens its own database connections
and runs `flask --app guestbook …` or `celery …` from there. One JSON document a line comes in on stdin
for each command and is answered with one line.
"""

import gc
import json
import os
import select
import signal
import sys
import traceback
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

import flask.cli
import requests  # noqa: F401  so that no child has to import it
from flask import Flask
from sqlalchemy import create_engine

import guestbook
import guestbook.cli.idle_cron  # likewise
import guestbook.web
from guestbook.background import whole_pass
from guestbook.cli import program
from guestbook.lib.encryption import Keyring
from guestbook.outbound.delivery_dispatcher import Dispatcher
from guestbook.storage import database, upgrade  # noqa: F401  likewise
from tests.support import kill_points, speed

Keyring(("no key of a book",)).encrypt("x", "x")  # which imports what each child would
OF_CELERY = ("celery.bin.celery", "celery.apps.worker", "celery.worker.worker", "celery.worker.consumer")
OF_CELERY += ("celery.fixups.django", "celery.worker.components", "celery.worker.autoscale", "billiard.pool")
OF_CELERY += ("celery.worker.consumer.delayed_delivery", "celery.events.receiver", "kombu.mixins")
OF_CELERY += ("celery.worker.strategy", "celery.concurrency.thread", "celery.app.amqp", "celery.app.trace")
OF_CELERY += ("celery.app.control", "celery.app.events", "celery.app.log", "celery.backends.base")
OF_CELERY += ("kombu.transport.pyamqp", "guestbook.background.celery.delivery_consumer")
OF_CELERY += ("guestbook.background.celery.relay", "guestbook.inbound.event_processor")


def warm_up() -> None:
    """Compile what is compiled once, the first page included, and import what it needs, for all children."""
    program.load_all(program.PROGRAM_SECTIONS)
    speed.share_apps()
    with TemporaryDirectory() as folder:
        app = guestbook.create_app({"GUESTBOOK_DATA_DIR": folder})
        with app.app_context():
            database.create_tables(database.db.engine)
            app.test_client().get("/")
            database.db.session.remove()
            database.db.engine.dispose()


prepared: list[Flask] = []


def prepare(environ: dict[str, str]) -> None:
    """Make the app of a book, and let it do a pass: then children that use it need not prepare its SQL."""
    _load_driver(environ["GUESTBOOK_DATABASE_URL"].partition(":")[0])
    prepared[:] = [app := guestbook.create_app(environ)]
    with app.app_context():
        whole_pass.run(database.db.engine, app.config["GUESTBOOK"], whole_pass.Options())
        database.db.session.remove()
        database.db.engine.dispose()
    gc.freeze()


def serve() -> None:
    """Answer until stdin ends or nobody reads any more; then nothing of ours is left running."""
    children: set[int] = set()
    codes: dict[int, int] = {}  # of those that have ended
    gc.freeze()  # or each child would copy the memory that its garbage collection looks at
    try:
        for line in sys.stdin:
            print(json.dumps(_answer(json.loads(line), children, codes)), flush=True)
    except (BrokenPipeError, KeyboardInterrupt):
        pass
    finally:
        _end(children)


def _answer(order: dict[str, Any], children: set[int], codes: dict[int, int]) -> dict[str, Any]:
    if order["do"] == "start":
        children.add(pid := _fork(order))
        codes.pop(pid, None)
        return {"pid": pid}
    if order["do"] == "prepare":
        prepare(order["environ"])
        return {}
    if order["do"] == "end":
        _end(children)
        return {}
    pid = order["pid"]
    if pid in children and (code := _wait(pid, order["seconds"])) is not None:
        children.discard(pid)
        codes[pid] = code
    return {"exit": codes.get(pid)}


def _end(children: set[int]) -> None:
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    children.clear()


def _wait(pid: int, seconds: float) -> int | None:
    """Return the exit code, minus the signal's number when one ended it, or None when time is up."""
    descriptor = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) if ended else None


def _fork(order: dict[str, Any]) -> int:
    if order["program"] == "celery" or "relay" in order["command"]:
        _load_celery()
    _load_driver(order["environ"].get("GUESTBOOK_DATABASE_URL", "").partition(":")[0])
    pid = os.fork()
    if pid:
        if order["program"] == "celery":
            os.setpgid(pid, pid)
        return pid
    try:
        _become(order)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 1)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(99)


def _become(order: dict[str, Any]) -> NoReturn:
    """Turn this child into the command."""
    folder = Path(order["folder"])
    files = ("/dev/null", folder / "stdout", folder / "stderr")
    for number, name in enumerate([terminal] * 3 if (terminal := order.get("terminal")) else files):
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(order["environ"])
    _announce(folder / "name")
    if order.get("point"):
        getattr(kill_points, order["point"])()
    if order.get("is_prepared"):
        _use_prepared(order)
    sys.argv = [order["program"], "--app", *order["command"]]
    if order["program"] == "celery":
        sys.exit(import_module("celery.bin.celery").main())
    flask.cli.main()
    raise AssertionError(f"{guestbook.__name__} commands end by SystemExit")


def _use_prepared(order: dict[str, Any]) -> NoReturn:
    """Run the command with the app that is here already, and a data folder of its own."""
    [app] = prepared
    folder = Path(order["environ"]["GUESTBOOK_DATA_DIR"])
    folder.mkdir(exist_ok=True)
    app.config["GUESTBOOK"] = replace(app.config["GUESTBOOK"], data_dir=folder)
    info = flask.cli.ScriptInfo(create_app=lambda *_: app)
    sys.exit(app.cli.main(args=order["command"][1:], prog_name="flask", obj=info))


@cache
def _load_celery() -> None:
    """Import what a worker and a relay need, once there is one."""
    for name in OF_CELERY:
        with suppress(ModuleNotFoundError):  # without Celery a relay says what is missing
            import_module(name)
    gc.freeze()


@cache
def _load_driver(scheme: str) -> None:
    """Import what a book on a database with such a URL needs, once there is one."""
    if "+" in scheme:
        create_engine(f"{scheme}://")  # which connects to nothing
        gc.freeze()


def _announce(path: Path) -> None:
    """Write down the name under which this process will lease rows."""
    begin = Dispatcher.__init__

    def begin_and_tell(self: Dispatcher, *values: Any, **options: Any) -> None:
        begin(self, *values, **options)
        fresh = path.with_suffix(".part")
        fresh.write_text(self._name)
        fresh.rename(path)

    Dispatcher.__init__ = begin_and_tell  # type: ignore[method-assign]  # in this process alone


if __name__ == "__main__":
    warm_up()
    serve()
