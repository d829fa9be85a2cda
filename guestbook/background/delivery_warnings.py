"""What the owner should know after a pass: cron mails these lines, and a web server has them in its log."""

import logging

from guestbook.outbound.tally import Tally
from guestbook.settings import installation

log = logging.getLogger(__name__)


def log_all(tally: Tally) -> None:
    """Log what cron mails to the owner: one line a webhook, however many deliveries it cost."""
    for (name, webhook_id), count in sorted(tally.given_up.items()):
        log.warning(
            "%s given up for webhook %s. See: %s",
            "1 delivery was" if count == 1 else f"{count} deliveries were",
            name,
            installation.typed(f"deliveries list --status failed --webhook {webhook_id}"),
            extra={"webhook_id": webhook_id, "deliveries": count},
        )
    if tally.local_error:
        log.warning("the pass ended early, and what is due waits. %s", tally.local_error)
    elif tally.host_limit:  # after an early end it is the bare name of a limit, and the line above has it
        log.warning("%s", tally.host_limit)
    for line in tally.disabled:
        log.warning("%s.", line)
