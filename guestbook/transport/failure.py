"""Why a request failed: one exception, with a word for the program and a sentence for people."""

import errno

from guestbook.lib.current_process import FILE_LIMIT, MEMORY_LIMIT
from guestbook.lib.errors import with_detail

LOCAL_ERRORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

FAILURE_SENTENCES = {
    "closed": "The sender was closed before the request was sent.",
    "bad_url": "The URL cannot be used.",
    "bad_method": "The method cannot be sent.",
    "bad_header": "A header cannot be sent.",
    "private_address": "The host has a private or reserved address, so nothing was sent.",
    "bad_port": "The port belongs to another service than the web, so nothing was sent.",
    "name_not_found": "The host name does not exist.",
    "name_lookup_failed": "The host name could not be looked up.",
    "name_timeout": "The host name was not looked up in time.",
    "connect_failed": "The connection could not be made.",
    "connect_timeout": "The connection was not made in time.",
    "out_of_sockets": "This machine has no free sockets left.",
    "out_of_memory": "This machine has no free memory left.",
    "no_authorities": "The file of certificate authorities on this machine cannot be read.",
    "tls_failed": "The TLS connection could not be made or its certificate is not valid.",
    "tls_timeout": "The TLS handshake did not end in time.",
    "send_timeout": "The receiver did not take the whole request in time.",
    "timeout": "The receiver did not answer in time.",
    "connection_lost": "The receiver closed the connection without a complete answer.",
    "response_too_large": "The answer was too large before its body began.",
    "bad_response": "The answer was not valid HTTP.",
    "too_many_redirects": "The page leads from one address to the next, more than five times.",
    "host_busy": "Many pages of this host were asked for within a minute.",
    "no_mail_server": "GUESTBOOK_SMTP_URL and GUESTBOOK_MAIL_FROM are not set, so no e-mail can be sent.",
    "mail_server_unfit": "The mail server does not speak SMTP, or lacks what GUESTBOOK_SMTP_URL needs.",
    "proxy_refused": "The outbound proxy does not allow this host. Free PythonAnywhere accounts reach only "
    "the hosts on PythonAnywhere’s list: ask them to add this one, or use a paid account.",
    "proxy_failed": "The outbound proxy did not do its work.",
    "proxy_gave_up": "The outbound proxy could not reach the host.",
}

# What a list shows of them, where there is no room for the sentence.
SHORT_WORDS = {
    **dict.fromkeys(
        ("name_timeout", "connect_timeout", "tls_timeout", "send_timeout", "timeout"), "time-out"
    ),
    **dict.fromkeys(("name_not_found", "name_lookup_failed"), "no such host"),
    **dict.fromkeys(("connect_failed", "proxy_gave_up"), "no connection"),
    **dict.fromkeys(("proxy_refused", "proxy_failed"), "proxy"),
    **{"tls_failed": "TLS", "connection_lost": "cut off", "bad_response": "no HTTP"},
    **{"private_address": "private", "response_too_large": "too large"},
}
NOT_SENT = "not sent"


def in_short(sentence: str) -> str:
    """Return the short word for the sentence of a failure, which may have a detail at its end."""
    for reason, whole in FAILURE_SENTENCES.items():
        if sentence.startswith(whole.removesuffix(".")):
            return SHORT_WORDS.get(reason, NOT_SENT)
    return sentence


# The receiver could not be reached or did not answer in time: five in a row pause its webhook.
UNREACHABLE = frozenset(
    (
        *("name_not_found", "name_lookup_failed", "name_timeout"),
        *("connect_failed", "connect_timeout", "proxy_gave_up"),
        *("tls_failed", "tls_timeout", "send_timeout", "timeout"),
    )
)

# Another attempt at the same address would change nothing.
LASTING = frozenset(("bad_url", "private_address", "bad_port", "too_many_redirects", "response_too_large"))

# This machine or its proxy is at fault: no receiver is to blame, and none can be reached.
SENDER_FAILURES = frozenset(("closed", "out_of_sockets", "out_of_memory", "no_authorities", "proxy_failed"))

# Fewer requests at once would help against these.
HOST_LIMITS = {"out_of_sockets": FILE_LIMIT, "out_of_memory": MEMORY_LIMIT}


class TransportError(Exception):
    """A request that got no answer.

    It is no OSError: those are taken for a connection that was lost.
    """

    def __init__(self, reason: str, detail: str = "", *, sent: bool = False) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail  # short; never the path or the query of a URL, which are secret
        self.sent = sent  # False when no byte of the request can have reached the receiver
        self.unreachable = reason in UNREACHABLE  # It counts for the pause of the webhook.
        self.is_lasting = reason in LASTING  # Another attempt would end in the same way.
        self.is_ours = reason in SENDER_FAILURES  # No receiver is to blame.
        self.limit = HOST_LIMITS.get(reason)  # The limit of this machine that the request ran into, if any.

    def __str__(self) -> str:
        return with_detail(FAILURE_SENTENCES[self.reason], self.detail)
