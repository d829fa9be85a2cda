"""The versions of the bodies that receivers get, and how the shape of an older one is made. Pure.

Events always have the newest shape, which is in the catalogue. A webhook keeps the version it was made with,
so its bodies go back from the newest version to its own, one step for each version between.

A date names a version. It says how old the code of a receiver is, dates sort as texts, and the number of the
guestbook's own version may change without it.
"""

import copy
from collections.abc import Callable
from typing import Any

from guestbook.storage.models.delivery import FIRST_VERSION

Payload = dict[str, Any]  # a body of the format json: its `type`, `timestamp` and `data`
# Takes a payload, which it may change, and returns it as the version before had it. The `type` stays.
Step = Callable[[Payload], Payload]

# Each version with its step back. The first one has none.
VERSIONS: dict[str, Step | None] = {FIRST_VERSION: None}


def newest() -> str:
    """Return the version of new webhooks, whose shapes are those of the catalogue."""
    return max(VERSIONS)


def known(version: str) -> str:
    """Return the version whose shape a webhook gets: its own, or the last one before that.

    A later program may have added the webhook, or somebody has edited the row by hand.
    """
    return max((one for one in VERSIONS if one <= version), default=min(VERSIONS))


def in_version(payload: Payload, version: str) -> Payload:
    """Return a payload of the newest version in the shape of another one; the given one stays as it is."""
    steps = [step for later, step in sorted(VERSIONS.items(), reverse=True) if later > version and step]
    shaped = copy.deepcopy(payload) if steps else payload
    for step in steps:
        shaped = step(shaped)
    return shaped
