"""What *Explain this delivery* shows: the signature of one attempt, or of one made now."""

import re
from dataclasses import dataclass
from datetime import datetime

from guestbook.outbound import signature_steps
from guestbook.storage.models import Attempt, Delivery, Webhook

UNIX_TIME = re.compile("[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class SignatureExplanation:
    """The steps, the programs, and what a rotated secret has to do with it."""

    steps: signature_steps.Explanation
    snippets: list[signature_steps.Snippet]
    body: str
    rotated_until: datetime | None  # when the previous secret ends or ended; None when it plays no part
    is_over: bool  # whether it has ended


def of(
    delivery: Delivery, webhook: Webhook, attempt: Attempt | None, now: datetime
) -> SignatureExplanation | None:
    """Explain the attempt, or, without one, how it would be sent now. None when the secret is none.

    When a secret was rotated is not stored, only until when the one before it signs. So both sign what was
    made before that.
    """
    moment = attempt.started_at if attempt else now
    expires = webhook.previous_secret_expires_at
    overlaps = webhook.previous_secret is not None and expires is not None and moment < expires
    previous = webhook.previous_secret if overlaps else None
    stamp = _timestamp(attempt, moment)
    try:
        steps = signature_steps.explain(delivery.event_id, stamp, delivery.body, webhook.secret, previous)
    except ValueError:
        return None
    return SignatureExplanation(
        steps,
        signature_steps.snippets(steps),
        delivery.body.decode(errors="replace"),
        expires if overlaps else None,
        expires is not None and expires <= now,
    )


def _timestamp(attempt: Attempt | None, moment: datetime) -> int:
    """Return the unix seconds that were sent, which may be one later than the attempt's start."""
    sent = attempt.request_headers.get("webhook-timestamp", "") if attempt else ""
    return int(sent) if UNIX_TIME.fullmatch(sent) else int(moment.timestamp())
