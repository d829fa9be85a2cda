"""A webhook's own headers, as lines that people type; `(hidden)` stands for a value that is not shown."""

from collections.abc import Mapping, Sequence

from guestbook import transport
from guestbook.lib.encryption import Unreadable
from guestbook.lib.errors import Refused
from guestbook.lib.redaction import HIDDEN


def read(lines: Sequence[str], old: Mapping[str, str]) -> dict[str, str]:
    """Return the headers from the lines, with the old headers' values for hidden ones; raises Refused."""
    known = {name.lower(): value for name, value in old.items()}
    pairs = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise Refused(f"The header {name[:40]!r} needs the form 'Name: value'.", field="headers")
        name, value = name.strip(), value.strip()
        if value == HIDDEN and name.lower() not in known:
            sentence = f"{HIDDEN} stands for a value that is not shown; write the value itself."
            raise Refused(sentence, field="headers", only_here=True)
        pairs.append((name, known[name.lower()] if value == HIDDEN else value))
    try:
        checked = transport.check_headers(pairs)
    except ValueError as error:
        raise Refused(str(error), field="headers") from None
    # One that cannot be decrypted now is kept as it is stored.
    unreadable = {name: value for name, value in pairs if isinstance(value, Unreadable)}
    return checked | unreadable


def refuse_kept(lines: Sequence[str] | None, old: Mapping[str, str]) -> None:
    """Refuse to keep old header values: all of them if `lines` is None, else the `(hidden)` ones."""
    if lines is None:
        kept = list(old)
    else:
        pairs = (line.partition(":") for line in lines)
        kept = [name.strip() for name, _, value in pairs if value.strip() == HIDDEN]
    if kept:
        raise Refused(
            f"The new URL is on another host. Give the value of {', '.join(kept)} again, or remove it.",
            field="headers",
        )
