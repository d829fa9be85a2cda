"""Write a request as a curl command that sends the same bytes. Pure."""

import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Row

from guestbook.lib.redaction import HIDDEN
from guestbook.lib.text import UNWANTED
from guestbook.lib.validate import is_mailto
from guestbook.outbound import delivery_tasks, webhook_signatures
from guestbook.storage.models import Delivery, Webhook

HTTP_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
INLINE_LIMIT = 32_000  # bytes of a body in the command itself; Linux allows 128 KiB for an argument
BY_CURL = ("accept", "user-agent")  # curl adds these headers by itself.
FRAME = frozenset(("host", "content-length", "transfer-encoding", "connection", "expect"))
NEWLINE = " \\\n  "


def command(method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, file: str) -> str:
    """Return the command. Header values are Latin-1 text for bytes, as WSGI gives them.

    It has no invisible characters: `printf` makes them from octal numbers. A long body is read from that
    file, where it must be saved first.
    """
    words = ["curl", *_method(method, body), *_address(url)]
    sent = [pair for pair in headers if pair[0].lower() not in FRAME and HTTP_TOKEN.fullmatch(pair[0])]
    words += [f"--header {_header(name, value)}" for name, value in sent]
    words += [f"--header {name}:" for name in _left_out(headers, body)]
    before = ""
    if is_long(body):
        words.append(f"--data-binary @{shlex.quote(file)}")
    elif _can_be_seen(body):
        words += [f"--data-raw {_quoted(body)}"] if body else []
    else:
        before = f"{_printf(body)} |{NEWLINE}"
        words.append("--data-binary @-")
    return before + NEWLINE.join(words)


def is_long(body: bytes) -> bool:
    """Whether the command reads the body from a file."""
    return len(body) > INLINE_LIMIT


def _method(method: str, body: bytes) -> list[str]:
    if method == "HEAD" and not body:
        return ["--head"]
    if method == "HEAD":  # curl would wait for a body of the answer, which HEAD never has.
        return ["--request HEAD", "--max-time 5"]
    return [f"--request {shlex.quote(method)}"]


def _address(url: str) -> list[str]:
    """Return the URL, with options that keep curl from expanding ranges, sets and `..` in it."""
    globs = ["--globoff"] if re.search(r"[\[\]{}]", url) else []
    dots = ["--path-as-is"] if re.search(r"/\.", url) else []
    return [*globs, *dots, shlex.quote(url)]


def _left_out(headers: Iterable[tuple[str, str]], body: bytes) -> list[str]:
    """Return the headers that curl would add, but that the request did not have."""
    came = {name.lower() for name, _ in headers}
    added = [*BY_CURL, "content-type"] if body else BY_CURL
    return [name.title() for name in added if name not in came]


def _header(name: str, value: str) -> str:
    """Return `Name: value`, or `Name;` for a header without a value, as curl writes it."""
    if not value:
        return shlex.quote(f"{name};")
    line = f"{name}: {value}".encode("latin-1", "replace")
    return _quoted(line) if _can_be_seen(line) else f'"$({_printf(line)})"'


def _can_be_seen(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return not UNWANTED.search(text) and "\r" not in text


def _quoted(data: bytes) -> str:
    return shlex.quote(data.decode())


def _printf(data: bytes) -> str:
    """Return a `printf` that prints these bytes. A hyphen at the start would be an option."""
    first = "\\055" if data.startswith(b"-") else ""
    return f"printf '{first}{''.join(map(_octal, data.removeprefix(b'-') if first else data))}'"


def _octal(byte: int) -> str:
    if byte in b"%\\":
        return 2 * chr(byte)
    if byte == ord("'"):
        return "\\047"
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def as_curl(delivery: Delivery, webhook: Webhook, base_url: str, file: str, now: datetime) -> str | None:
    """Return a command that sends what the next attempt would send; None where that is no plain request.

    A long body is read from `file`. The values of the webhook's own headers stay hidden.
    """
    own = dict.fromkeys(webhook.headers, HIDDEN)
    receiver = delivery_tasks.of_webhook(webhook, own, now)
    has_no_request = is_mailto(webhook.url) or receiver.mentions or webhook.is_pulled
    if has_no_request or receiver.error or delivery.erased_at:
        return None
    claimed = cast("Row[Any]", delivery)  # It has the columns of a claimed row.
    task = delivery_tasks.delivery_task(claimed, "", 0.0, receiver)
    timestamp = int(now.timestamp())
    plain = webhook_signatures.plain_headers(task, webhook_signatures.user_agent(base_url), timestamp)
    headers = {**plain, **webhook_signatures.signature_headers(task, timestamp), **own}
    return command("POST", webhook.url, list(headers.items()), task.body, file)
