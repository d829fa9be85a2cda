"""The headers of the webhooks that we send: what each receiver gets, and the signatures. Pure."""

from guestbook.lib import signing
from guestbook.lib.version import VERSION
from guestbook.outbound.tasks import DeliveryTask


def user_agent(base_url: str) -> str:
    """Return the User-Agent: the version and the address of the book."""
    return f"guestbook/{VERSION} (+{base_url})"


def plain(task: DeliveryTask, agent: str, timestamp: int) -> dict[str, str]:
    """Return what every receiver gets and the attempt's record shows; a new header is added here."""
    return {
        "Content-Type": "application/json",
        "User-Agent": agent,
        "X-Guestbook-Event": task.event,
        "X-Guestbook-Attempt": str(task.attempts + 1),
        "webhook-id": task.event_id,
        "webhook-timestamp": str(timestamp),
    }


def signatures(task: DeliveryTask, timestamp: int) -> dict[str, str]:
    """Return the signatures: Standard Webhooks 1.0.0, and GitHub's header. The record does not show them."""
    receiver = task.receiver
    try:
        return {
            "webhook-signature": signing.standard(receiver.keys, task.event_id, timestamp, task.body),
            "X-Hub-Signature-256": signing.hub(receiver.secret, task.body),
        }
    except ValueError as error:  # OpenSSL's way to say that it got no memory
        raise MemoryError from error
