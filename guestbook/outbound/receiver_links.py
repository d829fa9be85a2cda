"""Links with which the people behind a webhook's receiver open its page, without a login.

The row of a link says whether it works. Its address stands in no table, so a stolen backup opens no page.
"""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from guestbook.lib import clock, ids, signed_links, validate
from guestbook.lib.errors import Refused
from guestbook.lib.signed_links import RECEIVER, RECEIVER_PATH
from guestbook.outbound import webhook_urls
from guestbook.outbound.formats import chats
from guestbook.settings import Settings
from guestbook.storage import audit_log
from guestbook.storage.models import ReceiverLink, Webhook
from guestbook.storage.models.delivery import UNSIGNED_FORMATS

DEFAULT_LIFETIME = "30d"
LONGEST_LIFETIME = timedelta(days=366)


def url(link: ReceiverLink, settings: Settings) -> str:
    """Return the link's address, which is a secret."""
    token = signed_links.token_of(link.id, [link.expires_at], RECEIVER, settings.secret_key)
    return f"{settings.base_url}{RECEIVER_PATH}/{token}"


def add(
    session: Session,
    webhook: Webhook,
    *,
    name: str | None = None,
    expires: str = DEFAULT_LIFETIME,  # such as `30d`, or a date
    link_id: str | None = None,
) -> ReceiverLink:
    """Add a link, by default with the webhook's name; raises Refused.

    A form brings the id, so that sending it twice makes no second link but an IntegrityError.
    """
    name, end = check(webhook, name, expires)
    link = ReceiverLink(id=link_id or ids.new(), webhook_id=webhook.id, name=name, expires_at=end)
    session.add(link)
    session.flush()
    detail = f"for the webhook {webhook.name}, until {clock.to_text(link.expires_at)}"
    audit_log.record_row(session, "added", link, detail)
    return link


def check(webhook: Webhook, name: str | None, expires: str) -> tuple[str, datetime]:
    """Return the name and the end of a new link as they are kept; raises Refused."""
    if webhook.format in UNSIGNED_FORMATS:
        what = UNSIGNED_FORMATS[webhook.format]
        raise Refused(f"{what} is not signed and goes to no receiver of webhooks, so it has no such page.")
    end = validate.end(expires, "link")
    if end > clock.now() + LONGEST_LIFETIME:
        raise Refused("A link may work for a year at most.", field="expires")
    return validate.name(webhook.name if name is None else name), end


def of_webhook(session: Session, webhook_id: str) -> list[ReceiverLink]:
    """Return the links of a webhook, the newest first."""
    query = select(ReceiverLink).where(ReceiverLink.webhook_id == webhook_id)
    return list(session.scalars(query.order_by(ReceiverLink.id.desc())))


def revoke(session: Session, link: ReceiverLink) -> None:
    """Let a link, and every page that it has opened, stop working at once."""
    if link.revoked_at is None:
        link.revoked_at = clock.now()
        session.flush()
        audit_log.record_row(session, "revoked", link)


def webhook_moves(session: Session, webhook: Webhook, url: str, format_name: str) -> None:
    """Revoke the links that work if other people may read what goes to that URL in that format."""
    is_same = format_name == webhook.format and webhook_urls.is_same_host(webhook.url, url)
    if is_same and (url == webhook.url or not chats.is_known(url)):
        return  # At a chat service each URL leads to other people.
    for link in of_webhook(session, webhook.id):
        if link.state(clock.now()) == "works":
            revoke(session, link)
