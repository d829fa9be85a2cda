"""The command `talk`: the talk that the book comes from, to live through on a page of this machine."""

import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from flask import Flask, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue

from guestbook.cli import app_command, talk_book
from guestbook.cli.talk_actions import BUTTONS, LOOK_INTERVAL, STATES, Talk
from guestbook.cli.talk_book import HOST, TalkBook
from guestbook.lib import current_process
from guestbook.lib.errors import Refused
from guestbook.settings import installation
from guestbook.storage import engines

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# of the slides that need RabbitMQ
RECORDING = installation.CHECKOUT / "guestbook/templates/talk_recording.json"
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


@click.command(cls=app_command.AnyVersionCommand)
@click.option("--port", type=click.IntRange(1, 65535), help="Serve on this port; by default on a free one.")
def talk(port: int | None) -> None:
    """Show the talk behind the book on a page: sign, send, break it, and see why nothing is lost.

    It uses a throwaway book on this machine and no network. It does not touch your own book.
    """
    # A handler that raised could do so before a started process is noted, so signals set a flag. A signal
    # that nohup ignores stays ignored.
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    is_ready = False
    try:
        with current_process.flag_set_by(caught, second_ends=False) as stop, _served(port) as (book, address):
            while not stop.wait(LOOK_INTERVAL):
                if (server := book.server) and server.poll() is not None:
                    raise Refused("The talk's web server has ended by itself.")
                if not is_ready and book.is_served():
                    is_ready = True
                    click.echo(f"The talk is at {address}/ and needs no network.")
                    click.echo(f"Ctrl-C ends it and removes {book.folder}.")
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else error
        raise Refused(f"The talk cannot go on: {why}.") from None
    click.echo("\nThe talk is over. Everything of it is removed.")


@contextmanager
def _served(port: int | None) -> Iterator[tuple[TalkBook, str]]:
    """Make the book, start its web server, and serve the page; give the book and the page's address."""
    with socket.create_server((HOST, port or 0)) as page, socket.create_server((HOST, 0)) as other:
        here, there = (f"{HOST}:{one.getsockname()[1]}" for one in (page, other))
    with talk_book.made(f"http://{there}/receiver") as book:
        running = Talk(book, lambda: _serve(app, there))
        app = _page(running)
        running.press("up", {})
        book.start_server()
        _serve(app, here)
        yield book, f"http://{here}"


def _serve(app: Flask, listen: str) -> Any:
    from guestbook.lib import http_server  # Waitress would make the start of other commands slower.

    server, _ = http_server.listening(app, listen=listen, threads=8, url_prefix="")
    threading.Thread(target=server.run, name=listen, daemon=True).start()
    return server


def _recording() -> dict[str, Any]:
    recorded: dict[str, Any] = json.loads(RECORDING.read_text())
    return recorded


def _page(running: Talk) -> Flask:
    """Return the app of the page and of the receiver. Another website must not press the buttons."""
    app = Flask("guestbook")
    app.config["WAITS"] = engines.FOR_PASSES
    app.jinja_env.globals |= {"states": STATES, "labels": BUTTONS, "recording": _recording()}
    app.after_request(lambda answer: answer.headers.update({"Content-Security-Policy": POLICY}) or answer)

    @app.before_request
    def refuse_strangers() -> ResponseReturnValue | None:
        is_here = request.host.partition(":")[0] in (HOST, "localhost")
        if is_here and request.headers.get("Origin") in (None, f"http://{request.host}"):
            return None
        return "Only the talk's own page may do that. Open the address that the command printed.", 403

    @app.get("/")
    def show() -> str:
        rows = running.look().values()
        return render_template("talk.html", talk=running, rows=rows, now=running.book.now())

    @app.post("/do")
    def press() -> ResponseReturnValue:
        if (button := request.form.get("button", "")) not in BUTTONS:
            abort(404)
        running.press(button, request.form)
        return redirect("/", 303)

    @app.post("/receiver")
    def receive() -> ResponseReturnValue:
        headers = {name.lower(): value for name, value in request.headers}
        return "", running.receive(headers, request.get_data())

    return app
