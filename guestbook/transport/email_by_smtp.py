"""One message to the owner's own SMTP server (RFC 5321), with one deadline for all of it.

The guard of addresses is for strangers' URLs. The owner has named this server, so it may be this machine.
"""

import ipaddress
import smtplib
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from guestbook.transport import addresses, attempt_budget, connections
from guestbook.transport.addresses import AddressPolicy, Lookups
from guestbook.transport.attempt_budget import AttemptBudget, BudgetTLSSocket
from guestbook.transport.failure import TransportError

SMTP_PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
SMTP_ANSWER_LIMIT = 2000  # bytes of an answer that are kept
QUIT_SECONDS = 1.0  # the server's farewell may take so long, when it has the message
NO_NAME = "[127.0.0.1]"  # for EHLO, as RFC 5321 wants it from a client without a public name
LOGIN_REFUSED = b"The server does not accept the user and the password of GUESTBOOK_SMTP_URL."

# The code of the server's last answer, 250 when it has the message, and its text.
SmtpAnswer = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """The server of GUESTBOOK_SMTP_URL."""

    url: str = field(repr=False)  # holds the password
    lookups: Lookups = addresses.shared

    def send(self, sender: str, recipient: str, message: bytes, seconds: float) -> SmtpAnswer:
        """Hand over a message for one recipient; raises TransportError when there is no answer."""
        attempt = AttemptBudget(seconds, AddressPolicy(), self.lookups)
        token = attempt_budget.current.set(attempt)
        parts = urlsplit(self.url)
        client = _Client(is_tls=parts.scheme == "smtps")
        try:
            _greet(client, parts)
            return _hand_over(client, attempt, sender, recipient, message)
        except smtplib.SMTPAuthenticationError as error:
            return _refusal(error.smtp_code, LOGIN_REFUSED)  # its own words could repeat the password
        except smtplib.SMTPResponseException as error:
            text = error.smtp_error
            return _refusal(error.smtp_code, text if isinstance(text, bytes) else str(text).encode())
        except smtplib.SMTPServerDisconnected:
            raise attempt.error("connection_lost") from None
        except ssl.SSLError:
            raise attempt.error("tls_failed") from None
        except (smtplib.SMTPException, ValueError):  # an SMTPException is an OSError
            raise attempt.error("mail_server_unfit") from None
        except OSError:
            raise attempt.error("connection_lost") from None
        finally:
            client.close()
            attempt_budget.current.reset(token)


class _Client(smtplib.SMTP):
    """A client whose sockets keep to the budget of the attempt."""

    def __init__(self, *, is_tls: bool) -> None:
        super().__init__(local_hostname=NO_NAME)
        self._is_tls = is_tls

    def _get_socket(self, host: str, port: int, _timeout: Any) -> Any:
        self._host = host  # smtplib compares it with the name in the server's certificate
        sock = connections.connect_to_own(host, port, attempt_budget.CONNECTING)
        attempt_budget.current.get().stage = attempt_budget.HANDSHAKING
        try:
            secured = _context().wrap_socket(sock, server_hostname=host) if self._is_tls else sock
        except BaseException:
            sock.close()
            raise
        attempt_budget.current.get().stage = attempt_budget.WAITING
        return secured


def _greet(client: _Client, parts: SplitResult) -> None:
    """Connect, turn on TLS and log in, as far as the URL asks for it."""
    host = parts.hostname or ""
    code, text = client.connect(host, parts.port or SMTP_PORTS[parts.scheme])
    if code != 220:
        raise smtplib.SMTPConnectError(code, text)
    client.ehlo_or_helo_if_needed()
    is_private = parts.scheme == "smtp" and _is_this_machine(host)
    needs_tls = parts.scheme == "smtp+starttls" or (parts.username is not None and not is_private)
    if parts.scheme != "smtps" and (needs_tls or (client.has_extn("starttls") and not is_private)):
        client.starttls(context=_context())
        client.ehlo()
    if parts.username is not None:
        client.login(unquote(parts.username), unquote(parts.password or ""))


def _hand_over(
    client: _Client, attempt: AttemptBudget, sender: str, recipient: str, message: bytes
) -> SmtpAnswer:
    for ask, whose, agreed in ((client.mail, sender, (250,)), (client.rcpt, recipient, (250, 251))):
        code, text = ask(whose)
        if code not in agreed:
            return _refusal(code, text)
    answer = _answer(*client.data(message))
    attempt.deadline = min(attempt.deadline, time.monotonic() + QUIT_SECONDS)
    with suppress(smtplib.SMTPException, OSError, TransportError):
        client.quit()  # the server has answered for the message, whatever it says now
    return answer


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.sslsocket_class = BudgetTLSSocket
    return context


def _refusal(code: int, text: bytes) -> SmtpAnswer:
    """Return the answer that ended it before the message was taken: a 2xx here is no success."""
    return _answer(code, text, least=400)


def _answer(code: int, text: bytes, *, least: int = 200) -> SmtpAnswer:
    if not least <= code < 600:
        raise TransportError("mail_server_unfit", sent=True)
    return code, text[:SMTP_ANSWER_LIMIT]


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
