"""The command `talk`: the talk that the book comes from, to live through on a page of this machine."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import click
from flask import Flask, abort, redirect, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from guestbook.cli import app_command, talk_actions, talk_book
from guestbook.cli.talk_actions import Talk
from guestbook.cli.talk_receiver import TalkReceiver
from guestbook.lib import clock, current_process
from guestbook.lib.current_process import StopFlag
from guestbook.lib.errors import Refused
from guestbook.storage import engines

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
THREADS = 8
LOOK_INTERVAL = 0.05  # seconds
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
STRANGER = "Only the talk's own page may do that. Open the address that the command printed."


@click.command(cls=app_command.AnyVersionCommand)
@click.option("--port", type=click.IntRange(1, 65535), help="Serve on this port; by default on a free one.")
def talk(port: int | None) -> None:
    """Show the talk behind the book: sign, send, break it, and see why nothing is lost.

    It opens a page on this machine with a throwaway book, its table of deliveries, a receiver and cron. It
    uses no network and does not touch your own book.
    """
    # A handler that raised could do so before a started process is noted, so signals set a flag. A signal
    # that nohup ignores stays ignored.
    caught = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    try:
        with current_process.flag_set_by(caught, second_ends=False) as stop, _served(port) as running:
            _wait(running, stop)
    except BrokenPipeError:  # Nobody reads any more, not even a sentence about it.
        raise
    except OSError as error:
        raise Refused(f"The talk cannot go on: {error.strerror or error}.") from None
    click.echo("\nThe talk is over. Everything of it is removed.")


@contextmanager
def _served(port: int | None) -> Iterator[tuple[Talk, str]]:
    """Serve the page and start the book's web server; give the talk and the page's address."""
    from guestbook.lib import http_server  # Waitress would make the start of other commands slower.

    receiver = TalkReceiver(clock.now)
    with talk_book.made(receiver.url) as (book, receiver.secret):
        running = Talk(book, receiver)
        receiver.now = book.now
        listen = f"{talk_book.HOST}:{port or 0}"
        try:
            server, address = http_server.listening(
                page(running), listen=listen, threads=THREADS, url_prefix=""
            )
        except OSError:
            sentence = f"Port {port} is in use or cannot be used. Take another one, or leave out --port."
            raise Refused(sentence) from None
        book.start_server()
        threading.Thread(target=server.run, name="page", daemon=True).start()
        yield running, address


def _wait(running: tuple[Talk, str], stop: StopFlag) -> None:
    """Say where the page is as soon as the book is served, and wait for a signal."""
    book, is_ready = running[0].book, False
    while not stop.wait(LOOK_INTERVAL):
        if (server := book.server) and server.poll() is not None:
            raise Refused("The talk's web server has ended by itself.")
        if not is_ready and book.is_served():
            is_ready = True
            click.echo(f"The talk is at {running[1]}/ and needs no network.")
            click.echo(f"Ctrl-C ends it and removes everything: {book.folder}")


def page(running: Talk) -> Flask:
    """Return the app of the page, which only itself may use."""
    app = Flask("guestbook")
    app.config["WAITS"] = engines.FOR_PASSES
    app.before_request(_refuse_strangers)

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers.update(HEADERS)
        return response

    @app.get("/")
    def show() -> str:
        rows = running.look()
        return render_template(
            "talk.html", talk=running, rows=rows.values(), now=running.book.now(), short=talk_actions.short
        )

    @app.post("/do")
    def press() -> ResponseReturnValue:
        button = request.form.get("button", "")
        if button not in talk_actions.ALL_BUTTONS:
            abort(404)
        running.press(button, request.form)
        return redirect("/", 303)

    return app


def _refuse_strangers() -> ResponseReturnValue | None:
    """Refuse what another website has sent: its Origin is foreign, or it has this address by another name."""
    here = request.host.partition(":")[0] in (talk_book.HOST, "localhost")
    if here and request.headers.get("Origin") in (None, f"http://{request.host}"):
        return None
    return STRANGER, 403
