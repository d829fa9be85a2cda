"""Facts that only a request or a pass sees, kept for `doctor` in a file of the data folder.

A file, because `doctor` must work without the database, and visitors must not wait for a write of it.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from guestbook.lib import clock, file_replacement

FACTS_FILE = "seen.json"  # in the data folder
SAME_HOST = "same address"  # a request carried the host of the base URL
OTHER_HOST = "other address"  # a request carried another one, which is the text
HTTPS = "https"  # a request came over HTTPS, at least to the proxy
PLAIN_HTTP = "http"
BY_PROXY = "forwarded"  # a request carried X-Forwarded-For
ADDRESSES = "forwarded addresses: "  # and the number of addresses that a request carried in it
NO_PROXY = "direct"  # a request carried none
HOST_LIMIT = "host limit"  # a pass ran into a limit of the host; the text says which


@dataclass(frozen=True, slots=True)
class Fact:
    """What was seen, and when last."""

    text: str
    at: datetime


def note(data_dir: Path, facts: Mapping[str, str]) -> None:
    """Add facts to the file; where it cannot be written, they are lost."""
    moment = clock.to_text(clock.now())
    kept = {name: [fact.text, clock.to_text(fact.at)] for name, fact in read(data_dir).items()}
    kept |= {name: [text, moment] for name, text in facts.items()}
    with suppress(OSError):
        file_replacement.replace(data_dir / FACTS_FILE, json.dumps(kept))


def read(data_dir: Path, within: timedelta | None = None) -> dict[str, Fact]:
    """Return all facts by name, or those of the time before now; none from a damaged file."""
    with suppress(OSError, ValueError, TypeError, AttributeError):
        stored = json.loads((data_dir / FACTS_FILE).read_text())
        facts = {str(name): Fact(str(text), clock.from_text(at)) for name, (text, at) in stored.items()}
        since = clock.now() - within if within else None
        return {name: fact for name, fact in facts.items() if since is None or fact.at >= since}
    return {}
