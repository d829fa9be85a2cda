"""The headers of a webhook's requests, and what signs them: how they are made, checked and changed."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy.orm import Session

from guestbook.lib import VERSION, clock, ids, signatures
from guestbook.lib.errors import Refused
from guestbook.outbound.delivery_tasks import DeliveryTask
from guestbook.settings import installation
from guestbook.storage import audit_log
from guestbook.storage.models import Webhook
from guestbook.storage.models.delivery import OVERLAP, UNSIGNED_FORMATS

GITHUB_HEADERS = ("X-GitHub-Event", "X-GitHub-Delivery", "X-GitHub-Hook-ID")


def user_agent(base_url: str) -> str:
    """Return the User-Agent: the version and the address of the book."""
    return f"guestbook/{VERSION} (+{base_url})"


def plain_headers(task: DeliveryTask, agent: str, timestamp: int) -> dict[str, str]:
    """Return what every receiver gets and the attempt's record shows; a new header is added here."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": agent,
        "X-Guestbook-Event": task.event,
        "X-Guestbook-Attempt": str(task.attempts + 1),
        "X-Guestbook-Version": task.version,
        "webhook-id": task.event_id,
        "webhook-timestamp": str(timestamp),
    }
    if task.receiver.github_headers:  # All attempts of a delivery have one GUID.
        values = task.event, ids.guid(task.id), task.receiver.webhook_id
        headers |= dict(zip(GITHUB_HEADERS, values, strict=True))
    return headers


def signature_headers(task: DeliveryTask, timestamp: int) -> dict[str, str]:
    """Return the signatures: Standard Webhooks 1.0.0, and GitHub's header. The record does not show them.

    GitHub's needs the secret, so it is missing where a key pair signs alone.
    """
    receiver, body = task.receiver, task.body
    try:
        signed = signatures.standard(receiver.keys, task.event_id, timestamp, body, receiver.seeds)
        hub = {"X-Hub-Signature-256": signatures.hub(receiver.secret, body)} if receiver.keys else {}
    except ValueError as error:  # OpenSSL says so that it got no memory.
        raise MemoryError from error
    return {"webhook-signature": signed} | hub


SET_FOR_GITHUB = frozenset(name.lower() for name in GITHUB_HEADERS)
SIGNATURE_FIELDS = ("secret", "signing_key", "sign_with", "github_headers")
NO_KEY_PAIR = "This webhook has no key, because only its secret signs."


def taken_from(values: dict[str, Any]) -> dict[str, Any]:
    """Take what `change` wants out of a webhook's checked values."""
    return {name: values.pop(name) for name in SIGNATURE_FIELDS if name in values}


def change(webhook: Webhook, wanted: Mapping[str, Any]) -> None:
    """Change what signs and GitHub's headers, as far as they are wanted; refuses what contradicts."""
    key = wanted.get("signing_key")
    # A given key signs alone where only the secret did.
    default = "key" if key and webhook.sign_with == "secret" else webhook.sign_with
    sign_with = wanted.get("sign_with") or default
    github_headers = wanted.get("github_headers", webhook.github_headers_since is not None)
    _refuse_contradiction(webhook, sign_with, github_headers)
    if key and sign_with == "secret":
        raise Refused("To use this key, sign with the key or with both.", field="sign_with")
    if wanted.get("secret"):
        webhook.secret = wanted["secret"]
    webhook.send_github_headers(github_headers)
    if key and webhook.signing_key is None:
        webhook.signing_key = key
    elif key and key != webhook.signing_key:  # The one before signs beside it for a while.
        webhook.rotate_key(clock.now(), key=key)
    if sign_with != webhook.sign_with:
        try:
            webhook.use_for_signing(sign_with)
        except signatures.PackageMissing as missing:
            raise _refusal(missing) from None


def _refuse_contradiction(webhook: Webhook, sign_with: str, github_headers: bool) -> None:
    what = UNSIGNED_FORMATS.get(webhook.format)
    if what and sign_with != "secret":
        raise Refused(f"{what} is not signed, so choose the secret, which is not used.", field="sign_with")
    if what and github_headers:
        raise Refused(f"{what} carries no headers of GitHub.", field="github_headers")
    if github_headers and sign_with == "key":
        sentence = "Receivers written for GitHub verify with the secret, so sign with it or with both."
        raise Refused(sentence, field="sign_with")
    own = [name for name in webhook.headers if name.lower() in SET_FOR_GITHUB]
    if github_headers and own:
        raise Refused(f"Remove {', '.join(own)}, because GitHub’s headers come already.", field="headers")


def rotate_secret(
    session: Session, webhook: Webhook, overlap: timedelta = OVERLAP, given: str | None = None
) -> None:
    """Take a new secret, given or made here; the old one signs beside it for a while."""
    fresh = given_secret(given)
    if fresh == webhook.secret:
        raise Refused("The webhook has this secret already.", field="secret", only_here=True)
    webhook.rotate_secret(clock.now(), overlap, fresh)
    session.flush()
    audit_log.record_row(session, "rotated", webhook, "secret")


def rotate_key(
    session: Session, webhook: Webhook, overlap: timedelta = OVERLAP, given: str | None = None
) -> None:
    """Take a new key pair, given or made here; the old key signs beside the new one for a while."""
    if webhook.signing_key is None:
        raise Refused(NO_KEY_PAIR)
    fresh = given_key(given)
    if fresh == webhook.signing_key:
        raise Refused("The webhook has this key already.", field="signing_key", only_here=True)
    try:
        webhook.rotate_key(clock.now(), overlap, fresh)
    except signatures.PackageMissing as missing:
        raise _refusal(missing) from None
    session.flush()
    audit_log.record_row(session, "rotated", webhook, "key")


def given_secret(given: str | None) -> str | None:
    """Return a secret that the receiver has already, or None where none is given: then a new one is made.

    Both schemes sign with any of them: GitHub's with the text, Standard Webhooks with the key that it is.
    """
    if given is None:
        return None
    typed = given.strip()
    if typed.startswith(signatures.PRIVATE_KEY_PREFIX):
        raise Refused("This is a private key. Give it as the signing key, not here.", field="secret")
    try:
        signatures.key_of(typed)
    except ValueError:
        raise Refused(f"The secret must be {signatures.SECRET_FORMS}.", field="secret") from None
    return typed


def given_key(given: str | None) -> str | None:
    """Return a private key that signed for the receiver before, or None where none is given."""
    if given is None:
        return None
    try:
        return signatures.completed_key(given.strip())
    except signatures.PackageMissing as missing:
        raise _refusal(missing, "signing_key") from None
    except ValueError:
        raise Refused(f"The signing key must be {signatures.KEY_FORMS}.", field="signing_key") from None


def _refusal(missing: signatures.PackageMissing, field: str = "sign_with") -> Refused:
    command = installation.install_command(signatures.KEY_EXTRA)
    return Refused(f"{missing} Install it with: {command}", field=field, only_here=True)
