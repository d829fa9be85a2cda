"""Write a request as a curl command that sends the same bytes. Pure."""

import re
import shlex
from collections.abc import Sequence
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
BY_CURL = ("Accept", "User-Agent", "Content-Type")  # curl adds these by itself, the last with a body.
FRAME = frozenset(("host", "content-length", "transfer-encoding", "connection", "expect"))
NEWLINE = " \\\n  "


def command(method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, file: str) -> str:
    """Return the command. Header values are Latin-1 text for bytes, as WSGI gives them.

    It has no invisible characters: `printf` makes them from octal numbers. A long body is read from that
    file, where it must be saved first.
    """
    words = ["curl", f"--request {shlex.quote(method)}"]
    if method == "HEAD":  # curl would wait for a body of the answer, which HEAD never has.
        words = ["curl", "--request HEAD", "--max-time 5"] if body else ["curl", "--head"]
    # These keep curl from expanding ranges, sets and `..` in the URL.
    words += ["--globoff"] if re.search(r"[\[\]{}]", url) else []
    words += ["--path-as-is"] if re.search(r"/\.", url) else []
    words.append(shlex.quote(url))
    sent = [pair for pair in headers if pair[0].lower() not in FRAME and HTTP_TOKEN.fullmatch(pair[0])]
    words += [f"--header {_header(name, value)}" for name, value in sent]
    # curl would add these headers, which the request did not have.
    came, added = {name.lower() for name, _ in headers}, BY_CURL if body else BY_CURL[:2]
    words += [f"--header {name}:" for name in added if name.lower() not in came]
    before = ""
    if is_long(body):
        words.append(f"--data-binary @{shlex.quote(file)}")
    elif not _can_be_seen(body):
        before = f"{_printf(body)} |{NEWLINE}"
        words.append("--data-binary @-")
    elif body:
        words.append(f"--data-raw {shlex.quote(body.decode())}")
    return before + NEWLINE.join(words)


def is_long(body: bytes) -> bool:
    """Whether the command reads the body from a file."""
    return len(body) > INLINE_LIMIT


def _header(name: str, value: str) -> str:
    """Return `Name: value`, or `Name;` for a header without a value, as curl writes it."""
    if not value:
        return shlex.quote(f"{name};")
    line = f"{name}: {value}".encode("latin-1", "replace")
    return shlex.quote(line.decode()) if _can_be_seen(line) else f'"$({_printf(line)})"'


def _can_be_seen(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return not UNWANTED.search(text) and "\r" not in text


def _printf(data: bytes) -> str:
    """Return a `printf` that prints these bytes. A hyphen at the start would be an option."""
    first = "\\055" if data.startswith(b"-") else ""
    return f"printf '{first}{''.join(map(_octal, data.removeprefix(b'-') if first else data))}'"


def _octal(byte: int) -> str:
    if byte in b"%\\":
        return 2 * chr(byte)
    return chr(byte) if 0x20 <= byte < 0x7F and byte != ord("'") else f"\\{byte:03o}"


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
