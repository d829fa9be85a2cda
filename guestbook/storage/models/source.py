"""Sources, which send webhooks to us, and inbound events; bins, which show what arrives, and requests."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from guestbook.lib import body_encoding, clock, ids, verification
from guestbook.lib.encryption import Unreadable, readable
from guestbook.lib.redaction import HIDDEN
from guestbook.lib.verification import Verdict
from guestbook.lib.verification.kinds import ED25519, VERIFICATION_KINDS, SignatureScheme
from guestbook.storage.column_types import LONG_TEXT, Encrypted, belongs_to, bind_secrets
from guestbook.storage.database import Base
from guestbook.storage.models import delivery
from guestbook.storage.models.delivery import QueueRow

UNREADABLE_SOURCE = "The secret of this source cannot be decrypted with this secret key."
SOURCE_PURPOSE = "source secret"  # the purpose of the encryption
VERIFY = tuple(VERIFICATION_KINDS)
ACTIONS = ("log", "comment", "forward")  # the actions that a person may choose
MENTIONS = "webmention"  # the action of the source that the book adds by itself
MENTIONS_TOKEN = "webmention:"  # the token of that source: no URL of a source can have a colon
OLD_SECRET_VALID_FOR = timedelta(hours=24)  # after a rotation
BUDGET_MB = 50  # megabytes that a new source's unproven events may take


class Source(Base):
    """A sender of webhooks to us, and our action for them."""

    __tablename__ = "sources"
    __table_args__ = (
        UniqueConstraint("token", name="sources_token"),
        CheckConstraint(f"verify IN {VERIFY}", name="sources_verify"),
        CheckConstraint(f"action IN {(*ACTIONS, MENTIONS)}", name="sources_action"),
        CheckConstraint("(verify = 'none') = (secret IS NULL)", name="sources_secret"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    name: Mapped[str] = mapped_column(String(80))
    token: Mapped[str] = mapped_column(String(64))
    verify: Mapped[str] = mapped_column(String(10))
    header: Mapped[str | None] = mapped_column(String(64))
    scheme: Mapped[dict[str, str] | None]
    secret: Mapped[str | None] = mapped_column(Encrypted(SOURCE_PURPOSE))
    previous_secret: Mapped[str | None] = mapped_column(Encrypted(SOURCE_PURPOSE))
    previous_secret_expires_at: Mapped[datetime | None]
    action: Mapped[str] = mapped_column(String(10))
    template: Mapped[str | None] = mapped_column(Text)
    forwarded_in_full_since: Mapped[datetime | None]
    relayed_since: Mapped[datetime | None]
    budget_mb: Mapped[int] = mapped_column(default=BUDGET_MB, server_default=text(str(BUDGET_MB)))
    unproven_bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(default=clock.now)
    disabled_at: Mapped[datetime | None]
    event_condition: Mapped[str | None] = mapped_column(String(500))

    @property
    def is_built_in(self) -> bool:
        """Whether the book has added it by itself, for webmentions."""
        return self.action == MENTIONS

    @property
    def signature_scheme(self) -> SignatureScheme | None:
        """Return how the sender signs; None where its kind says it."""
        kind = VERIFICATION_KINDS.get(self.verify)
        if kind is None or not kind.has_scheme or not self.header:
            return None
        return SignatureScheme.of(self.header, self.scheme or {}, is_ed25519=self.verify == ED25519)

    def url(self, base_url: str) -> str:
        """Return the URL to give away."""
        return f"{base_url}/webmention" if self.is_built_in else f"{base_url}/hooks/{self.token}"

    def enable(self) -> None:
        """Work through what it sends again."""
        self.disabled_at = None

    def disable(self, now: datetime) -> None:
        """Store what it sends and leave it at that."""
        self.disabled_at = self.disabled_at or now

    def rotate_secret(self, secret: str, now: datetime, overlap: timedelta = OLD_SECRET_VALID_FOR) -> None:
        """Take a new secret; the old one is good beside it until the overlap is over."""
        self.previous_secret, self.previous_secret_expires_at = readable(self.secret), now + overlap
        self.secret = secret

    def secrets_at(self, moment: datetime) -> tuple[str, ...]:
        """Return the secrets that were good at that moment and can be read, the current one first."""
        ends = self.previous_secret_expires_at
        previous = self.previous_secret if ends and moment < ends else None
        return tuple(secret for secret in (readable(self.secret), readable(previous)) if secret)

    @property
    def is_unreadable(self) -> bool:
        """Whether its secret cannot be decrypted, so that nobody can be proven."""
        return isinstance(self.secret, Unreadable)

    def verify_request(
        self, headers: Mapping[str, str], body: bytes, received_at: datetime, proof_keys: Sequence[str]
    ) -> Verdict:
        """Verify the sender with this source's settings and the secrets that were valid at the receipt."""
        if self.is_unreadable:
            return Verdict(False, UNREADABLE_SOURCE)
        return verification.verify(
            self.verify,
            self.secrets_at(received_at),
            headers,
            body,
            received_at,
            header=self.header,
            scheme=self.signature_scheme,
            proof_keys=proof_keys,
        )


bind_secrets(Source)


class SeenSignature(Base):
    """A signed request that was processed, so that a replay of it has no effect."""

    __tablename__ = "seen_signatures"
    __table_args__ = (Index("seen_signatures_by_age", "seen_at"),)

    mark: Mapped[str] = mapped_column(String(64), primary_key=True)
    event_id: Mapped[str] = mapped_column(String(32))
    seen_at: Mapped[datetime]


class InboundEvent(QueueRow, Base):
    """One webhook that was sent to us."""

    __tablename__ = "inbound_events"
    __table_args__ = (
        UniqueConstraint("source_id", "external_id", name="inbound_events_once"),
        CheckConstraint(f"encoding IN {body_encoding.ENCODINGS}", name="inbound_events_encoding"),
        *delivery.checks("inbound_events"),
        Index("inbound_events_by_due", "source_id", "due_at", "id"),
        Index("inbound_events_by_status", "status", "id"),
        Index("inbound_events_by_source", "source_id", "id"),
        Index("inbound_events_by_comment", "comment_id"),
        Index("inbound_events_by_end", "status", "processed_at"),
        Index("inbound_events_by_proof", "source_id", "status", "unproven_bytes", "id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    source_id: Mapped[str] = belongs_to("sources", "inbound_events_source")
    external_id: Mapped[str | None] = mapped_column(String(200))
    event: Mapped[str | None] = mapped_column(String(100))
    sender: Mapped[str | None] = mapped_column(String(200))
    headers: Mapped[dict[str, str]]
    payload: Mapped[str] = mapped_column(LONG_TEXT)
    encoding: Mapped[str] = mapped_column(String(6))
    unproven_bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    status: Mapped[str] = mapped_column(String(9), default="new")
    attempts: Mapped[int] = mapped_column(default=0)
    claims: Mapped[int] = mapped_column(default=0)
    due_at: Mapped[datetime | None]
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    error: Mapped[str | None] = mapped_column(String(500))
    note: Mapped[str | None] = mapped_column(String(500))
    comment_id: Mapped[str | None] = belongs_to("comments", "inbound_events_comment", ondelete="SET NULL")
    received_at: Mapped[datetime]
    processed_at: Mapped[datetime | None]
    erased_at: Mapped[datetime | None]

    @property
    def word(self) -> str:
        """Return the status for people: waiting, processed or failed."""
        return "waiting" if self.status == "new" else self.status

    @property
    def shown_headers(self) -> dict[str, str]:
        """Return the kept headers; the proof of a secret is hidden."""
        is_proof = verification.PROOF
        return {name: HIDDEN if text.startswith(is_proof) else text for name, text in self.headers.items()}

    @property
    def body(self) -> bytes:
        """Return the exact bytes that came."""
        return body_encoding.unpack(self.payload, self.encoding)

    def requeue(self, now: datetime) -> None:
        """Reprocess it: make it due at once, and forget the passes that did not finish with it."""
        super().requeue(now)
        self.claims = self.attempts
        self.processed_at = None
        self.error = self.note = None


INBOUND = InboundEvent.__table__
FIRST_INBOUND_DUE = InboundEvent.first_due(InboundEvent.source_id == Source.id)  # the same for inbound events

BIN_PATH = "/bin/"  # The addresses of bins begin so, after that of the book.


class Bin(Base):
    """A catch-all URL that shows what arrived."""

    __tablename__ = "bins"
    __table_args__ = (UniqueConstraint("token", name="bins_token"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    name: Mapped[str] = mapped_column(String(80))
    token: Mapped[str] = mapped_column(String(64))
    answer_status: Mapped[int] = mapped_column(default=200)
    answer_body: Mapped[str] = mapped_column(Text, default="")
    answer_type: Mapped[str] = mapped_column(String(100), default="text/plain; charset=utf-8")
    delay_milliseconds: Mapped[int] = mapped_column(default=0)
    failures_left: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=clock.now)

    def url(self, base_url: str) -> str:
        """Return the URL that catches."""
        return f"{base_url}{BIN_PATH}{self.token}"


class BinRequest(Base):
    """One request to a bin."""

    __tablename__ = "bin_requests"
    __table_args__ = (
        CheckConstraint(f"encoding IN {body_encoding.ENCODINGS}", name="bin_requests_encoding"),
        Index("bin_requests_by_bin", "bin_id", "id"),
        Index("bin_requests_by_age", "received_at"),
        Index("bin_requests_by_event", "event_id"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True, default=ids.new)
    bin_id: Mapped[str] = belongs_to("bins", "bin_requests_bin")
    method: Mapped[str] = mapped_column(String(20))
    path: Mapped[str] = mapped_column(Text)
    query: Mapped[str] = mapped_column(Text)
    headers: Mapped[str] = mapped_column(LONG_TEXT)
    body: Mapped[str] = mapped_column(LONG_TEXT)
    encoding: Mapped[str] = mapped_column(String(6))
    size: Mapped[int]
    answered: Mapped[int]
    received_at: Mapped[datetime]
    event_id: Mapped[str | None] = mapped_column(String(32))

    @property
    def kept(self) -> bytes:
        """Return the bytes of the body that were kept."""
        return body_encoding.unpack(self.body, self.encoding)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return the headers in the order in which they came."""
        try:
            return [(str(name), str(value)) for name, value in json.loads(self.headers)]
        except (ValueError, TypeError, RecursionError):
            return []
