"""Types of options that Click lacks, secrets from standard input, options of passes, and -v with its log."""

import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial, reduce
from typing import TYPE_CHECKING, Any, NoReturn

import click

from guestbook.lib import clock
from guestbook.lib.json_log import RAISING_LOGGERS, JsonFormatter
from guestbook.lib.text import printable

if TYPE_CHECKING:
    from guestbook.lib.fields import Field

Decorator = Callable[[Any], Any]
with_default = partial(click.option, show_default=True)
VERBOSE = "guestbook.verbose"  # A key in click's context.
WHEN = "(2026-01-31, 6h, 2d)"  # Help says that `moment` reads this.


class Choice(click.Choice):  # type: ignore[type-arg]  # older versions of Click take no argument
    """One of several words. A word that is written much like one of them gets a question.

    `given up` may be typed as it is shown.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Turn the option's text into one of the words."""
        from guestbook.lib import validate  # A pass that has nothing to do does without it.

        try:
            return super().convert(str(value).replace(" ", "-"), param, ctx)
        except click.BadParameter as error:
            question = validate.did_you_mean(str(value), list(map(str, self.choices)))
            self.fail(f"{error.message}{question}", param, ctx)


class FiniteRange(click.FloatRange):
    """A number within limits. Click's own accepts `nan`, which is neither below nor above any limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Turn the option's text into a number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def moment(_context: click.Context, _param: click.Parameter, value: str | None) -> datetime | None:
    """Read a moment as people type it; the callback of an option."""
    try:
        return None if value is None else clock.typed(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def together(*options: Decorator) -> Decorator:
    """Return a decorator that adds all these options, in the order of --help."""
    return lambda function: reduce(lambda done, option: option(done), reversed(options), function)


def of_field(known: Mapping[str, "Field"], name: str, *words: str, **more: Any) -> Decorator:
    """Return the option for a field: its choices or limits, and the first sentence of its hint."""
    field, flag = known[name], f"--{name.replace('_', '-')}"
    if field.schema["type"] == "boolean":
        flag, more["default"] = f"{flag}/--no-{flag.removeprefix('--')}", None
    elif field.choices:
        more["type"] = Choice(tuple(filter(None, field.choices)))
    elif "minimum" in field.schema:
        more["type"] = click.IntRange(field.schema["minimum"], field.schema["maximum"])
    more.setdefault("help", f"{field.hint.partition('. ')[0].removesuffix('.')}.")
    if more.get("callback") is secret:
        more["help"] += " With -, it is read from standard input."
    return click.option(*(words or (flag,)), name, **more)


def verbose_option(help_text: str) -> Decorator:
    """Return the -v of a command. The command does not read it: it only logs."""
    words, note = ("-v", "--verbose"), lambda context, _, value: context.meta.update({VERBOSE: value})
    return click.option(*words, is_flag=True, expose_value=False, callback=note, help=help_text)


def is_verbose() -> bool:
    """Whether the running command has -v."""
    context = click.get_current_context(silent=True)
    return bool(context and context.meta.get(VERBOSE))


period_options = together(
    click.option("--since", callback=moment, metavar="WHEN", help=f"Only those since then {WHEN}."),
    click.option("--until", callback=moment, metavar="WHEN", help=f"Only those before then {WHEN}."),
)


def max_seconds(does: str) -> Decorator:
    """Return --max-seconds of a pass; `does` is the verb for its work."""
    limit, words = FiniteRange(0.1, 86400), f"{does} nothing new after this many seconds."
    return with_default("--max-seconds", type=limit, default=50, help=words)


pass_options = together(
    max_seconds("Start"),
    click.option("--stay", is_flag=True, help="Stay for --max-seconds and send new deliveries at once."),
    with_default(
        "--concurrency",
        type=click.IntRange(1, 256),
        default=32,
        help="How many requests at once; at most a quarter of them to one webhook.",
    ),
    verbose_option("Print what happens to each delivery."),
)

ping_option = click.option(
    "--ping-url",
    metavar="URL",
    help="Tell this monitor, such as healthchecks.io, of the start and the end, and not GUESTBOOK_PING_URL.",
)


# Other users of the host can see a command's arguments, so a secret may come from standard input.
STDIN = "-"
SECRET_LINE_LIMIT = 4096  # bytes
MOST_LINES = 20


def secret(_context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Read an option that is a secret; the option's callback."""
    return _line(str(param.name).replace("_", " ").capitalize()) if value == STDIN else value


def header_lines(_context: click.Context, _param: click.Parameter, given: Sequence[str]) -> tuple[str, ...]:
    """Read headers. `NAME: -` takes its value from standard input, and `-` alone takes all lines there.

    The callback of an option that may be repeated. Several such values take a line each, in their order.
    """
    read: list[str] = []
    for line in given:
        name, colon, value = line.partition(":")
        if line.strip() == STDIN:
            lines = sys.stdin.buffer.readlines(MOST_LINES * SECRET_LINE_LIMIT)
            read += list(filter(None, map(_decoded, lines))) or _refuse("Standard input is empty.")
        elif colon and value.strip() == STDIN:
            read.append(f"{name}: {_line(name.strip())}")
        else:
            read.append(line)
    return tuple(read)


def _line(prompt: str) -> str:
    """Return the next line of standard input; a terminal prompts for it and shows nothing."""
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True))
    line = sys.stdin.buffer.readline(SECRET_LINE_LIMIT + 1)
    return _decoded(line) or _refuse("Standard input is empty.")


def _decoded(line: bytes) -> str:
    if len(line) > SECRET_LINE_LIMIT:
        _refuse(f"A line on standard input is longer than {SECRET_LINE_LIMIT:,} bytes.")
    try:
        return line.decode().strip()
    except UnicodeDecodeError:
        _refuse("Standard input is not UTF-8.")


def _refuse(sentence: str) -> NoReturn:
    raise click.ClickException(sentence)


@contextmanager
def log_shown(log_format: str) -> Iterator[None]:
    """Show warnings of the log on stderr as long as a command runs, and with -v what it does on stdout."""
    root, ours, handler = logging.getLogger(), logging.getLogger("guestbook"), _Handler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else _TextFormatter())
    level = ours.level
    root.addHandler(handler)
    if is_verbose():
        ours.setLevel(logging.INFO)
    for name in RAISING_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING if is_verbose() else logging.CRITICAL)
    try:
        yield
    finally:
        root.removeHandler(handler)
        ours.setLevel(level)


class _TextFormatter(logging.Formatter):
    """Writes the message alone, below the traceback where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        traceback = f"{self.formatException(record.exc_info)}\n" if record.exc_info else ""
        prefix = "guestbook: " if record.levelno == logging.WARNING else ""  # Cron mails these.
        return traceback + prefix + printable(record.getMessage())


class _Handler(logging.Handler):
    """Writes to the streams that Python has at this moment. A full disk or a closed pipe stops no pass."""

    def emit(self, record: logging.LogRecord) -> None:
        is_error = record.levelno >= logging.WARNING
        try:
            click.echo(self.format(record), err=is_error)
        except OSError:  # The rest is discarded, and so is what Python flushes at its end.
            with suppress(OSError):
                stream = sys.stderr if is_error else sys.stdout
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
