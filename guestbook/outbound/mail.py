"""Send a delivery as e-mail: make the message, hand it to the owner's SMTP server."""

import json
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from guestbook.lib import mail_address
from guestbook.lib.text import printable
from guestbook.outbound.tasks import DeliveryTask
from guestbook.settings import Settings
from guestbook.transport import ReceiverAnswer, TransportError, dns_lookup

if TYPE_CHECKING:
    from guestbook.transport.smtp import SmtpServer

MAIL_HEADERS = ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted")


@dataclass(frozen=True, slots=True)
class MailSender:
    """Makes messages and hands them over; without a server each attempt fails with a sentence."""

    server: "SmtpServer | None"
    mail_from: str | None
    host: str  # of the book, for ids of messages

    @classmethod
    def of(cls, settings: Settings, *, threads: bool = True) -> "MailSender":
        """Return the one that the settings describe; it may start threads or not."""
        server = _server(settings.smtp_url, threads=threads) if settings.smtp_url else None
        return cls(server, settings.mail_from, urlsplit(settings.base_url).hostname or "localhost")

    def message(self, task: DeliveryTask) -> EmailMessage:
        """Return the message. A repeat has the same Message-ID, so a mail program can drop it."""
        import email.policy  # here: most books send no mail, and it takes 0.7 MB

        subject, text = _written(task)
        message = EmailMessage(policy=email.policy.SMTP)
        message["From"] = self.mail_from or ""
        message["To"] = mail_address.of_url(task.receiver.url)
        message["Subject"] = subject
        message["Date"] = formatdate()
        message["Message-ID"] = f"<{task.event_id}.{task.receiver.webhook_id}@{self.host}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answering machine answers
        message.set_content(text, cte="quoted-printable")
        return message

    def send(self, message: EmailMessage, seconds: float) -> ReceiverAnswer:
        """Hand it over and return the server's answer; raises TransportError."""
        if not self.server or not self.mail_from:
            raise TransportError("no_mail_server")
        answer = self.server.send(self.mail_from, message["To"], message.as_bytes(), seconds)
        return ReceiverAnswer(answer.code, {}, answer.text, None)


def _server(url: str, *, threads: bool) -> "SmtpServer":
    import email.policy  # noqa: F401  before a message needs it: by then this host may allow no more files

    from guestbook.transport.smtp import SmtpServer

    return SmtpServer(url, dns_lookup.shared if threads else dns_lookup.without_threads)


def _written(task: DeliveryTask) -> tuple[str, str]:
    """Return the subject, as one line, and the text.

    A delivery is sent as it is when it was stored for a webhook that had another format then.
    """
    try:
        body = json.loads(task.body)
        subject, text = str(body["subject"]), str(body["text"])
    except (ValueError, LookupError, TypeError):
        subject, text = task.event, task.body.decode(errors="replace")
    return " ".join(printable(subject).split()), text
