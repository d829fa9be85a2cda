"""The headers of the webhooks that we send: what each receiver gets, and the signatures. Pure."""

from guestbook.lib import ids, signing
from guestbook.lib.version import VERSION
from guestbook.outbound.tasks import DeliveryTask

GITHUB_HEADERS = ("X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID")  # beside the signature


def user_agent(base_url: str) -> str:
    """Return the User-Agent: the version and the address of the book."""
    return f"guestbook/{VERSION} (+{base_url})"


def plain(task: DeliveryTask, agent: str, timestamp: int) -> dict[str, str]:
    """Return what every receiver gets and the attempt's record shows; a new header is added here."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": agent,
        "X-Guestbook-Event": task.event,
        "X-Guestbook-Attempt": str(task.attempts + 1),
        "webhook-id": task.event_id,
        "webhook-timestamp": str(timestamp),
    }
    return headers | _github(task) if task.receiver.github_headers else headers


def signatures(task: DeliveryTask, timestamp: int) -> dict[str, str]:
    """Return the signatures: Standard Webhooks 1.0.0, and GitHub's header. The record does not show them.

    GitHub's needs the secret, so it is missing where a key pair signs alone.
    """
    receiver, body = task.receiver, task.body
    try:
        signed = signing.standard(receiver.keys, task.event_id, timestamp, body, receiver.seeds)
        hub = {"X-Hub-Signature-256": signing.hub(receiver.secret, body)} if receiver.keys else {}
    except ValueError as error:  # OpenSSL's way to say that it got no memory
        raise MemoryError from error
    return {"webhook-signature": signed} | hub


def _github(task: DeliveryTask) -> dict[str, str]:
    """Return GitHub's headers. All attempts of a delivery have one GUID."""
    values = task.event, ids.guid(task.id), task.receiver.webhook_id
    return dict(zip(GITHUB_HEADERS, values, strict=True))
