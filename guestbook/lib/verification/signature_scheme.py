"""How a sender signs that has headers of its own: which, with which hash, written how, over what. Pure."""

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from guestbook.lib.verification import signature_headers
from guestbook.lib.verification.signature_headers import TOLERANCE, SignatureClaim, Unproven, as_bytes

SIGNATURE_HASHES = ("sha256", "sha1", "sha512")
SIGNATURE_ENCODINGS = ("hex", "base64")
# All end with the body, so nothing in it can be taken for the timestamp. Where nothing stands between them,
# the timestamp has one length: three digits of milliseconds could be moved into the body of one signature.
IN_MILLISECONDS = "{milliseconds}{body}"
SIGNED_CONTENTS = (
    "{body}",
    "{timestamp}.{body}",
    "{timestamp}:{body}",
    "v0:{timestamp}:{body}",
    "{timestamp}|{body}",
    "{timestamp}{body}",
    IN_MILLISECONDS,
)
ONE_LENGTH = ("{timestamp}{body}", IN_MILLISECONDS)
TIMESTAMP = re.compile(r"\{timestamp\}|\{milliseconds\}")
ED25519 = "ed25519"  # in place of a hash
SIGNATURE_BYTES = {"sha1": 20, "sha256": 32, "sha512": 64, ED25519: 64}
MILLISECONDS = re.compile("[0-9]{13}")  # a timestamp from 2001 to 2286


@dataclass(frozen=True, slots=True)
class SignatureScheme:
    """What to know about a sender's signature."""

    header: str  # carries the signature
    hash_name: str = SIGNATURE_HASHES[0]
    encoding: str = SIGNATURE_ENCODINGS[0]
    prefix: str = ""  # of the signature in the header
    timestamp_header: str = ""
    tolerance: int = TOLERANCE  # seconds between the timestamp and the receipt
    content: str = SIGNED_CONTENTS[0]

    @classmethod
    def of(cls, header: str, stored: Mapping[str, str], *, is_ed25519: bool) -> Self:
        """Return the scheme in a source's columns; a part that is missing or garbled becomes the default."""
        tolerance = stored.get("tolerance", "")
        return cls(
            header,
            ED25519 if is_ed25519 else stored.get("hash", SIGNATURE_HASHES[0]),
            stored.get("encoding", SIGNATURE_ENCODINGS[0]),
            stored.get("prefix", ""),
            stored.get("timestamp_header", ""),
            int(tolerance) if signature_headers.UNIX_SECONDS.fullmatch(tolerance) else TOLERANCE,
            stored.get("content", SIGNED_CONTENTS[0]),
        )

    @property
    def headers(self) -> tuple[str, ...]:
        """Return the names of the headers that it needs."""
        return (self.header, self.timestamp_header) if self.timestamp_header else (self.header,)

    def claim(self, headers: Mapping[str, str], body: bytes) -> SignatureClaim:
        """Take the signature and what it signs from a request; raises Unproven."""
        found = signature_headers.header(headers, self.header)
        signature = self._decoded(signature_headers.sole_value(found, self.header, self.prefix))
        timestamp, seconds = self._time(headers)
        return SignatureClaim(
            header=self.header,
            content=self._signed_content(timestamp, body),
            signatures=(signature.hex(),),
            timestamp=seconds,
            seen=(("Header", " and ".join(self.headers)), ("Scheme", self.words)),
            public_signatures=(signature,),
            hash_name=self.hash_name,
            tolerance=self.tolerance,
        )

    def sign(self, secret: str, seconds: int, body: bytes) -> dict[str, str]:
        """Return the headers of a request that is signed so with an HMAC."""
        written = str(seconds * 1000 if self.content == IN_MILLISECONDS else seconds)
        timestamp = written if self.timestamp_header else ""
        signature = hmac.digest(as_bytes(secret), self._signed_content(timestamp, body), self.hash_name)
        encoded = signature.hex() if self.encoding == "hex" else base64.b64encode(signature).decode()
        beside = {self.timestamp_header: timestamp} if timestamp else {}
        return {**beside, self.header: self.prefix + encoded}

    @property
    def words(self) -> str:
        """Return how it signs: `HMAC-SHA256 of {timestamp}.{body}, in hex after sha256=`."""
        algorithm = "Ed25519" if self.hash_name == ED25519 else f"HMAC-{self.hash_name.upper()}"
        after = f" after {self.prefix}" if self.prefix else ""
        return f"{algorithm} of {self.content}, in {self.encoding}{after}"

    def _signed_content(self, timestamp: str, body: bytes) -> bytes:
        before = self.content.removesuffix("{body}")
        return as_bytes(TIMESTAMP.sub(timestamp, before)) + body

    def _decoded(self, signature: str) -> bytes:
        """Return the bytes of the signature, in whichever case or padding it is written."""
        try:
            if self.encoding == "hex":
                raw = binascii.unhexlify(as_bytes(signature))
            else:
                raw = base64.b64decode(as_bytes(signature) + b"=" * (-len(signature) % 4), validate=True)
        except binascii.Error:
            raw = b""
        if len(raw) == SIGNATURE_BYTES.get(self.hash_name):
            return raw
        raise Unproven(
            f"The header {self.header} does not hold what this source expects: {self.words}. "
            "The sender signs in another way, or the source’s settings are wrong."
        )

    def _time(self, headers: Mapping[str, str]) -> tuple[str, int | None]:
        """Return the timestamp as it was signed, and in seconds."""
        if not self.timestamp_header:
            return "", None
        timestamp = signature_headers.required(headers, self.timestamp_header)
        is_long = MILLISECONDS.fullmatch(timestamp) is not None
        if self.content in ONE_LENGTH and is_long != (self.content == IN_MILLISECONDS):
            expected, found = ("seconds", "milliseconds") if is_long else ("milliseconds", "seconds")
            raise Unproven(
                f"The timestamp in {self.timestamp_header} is in {found}, but with the signed content "
                f"{self.content} it is in {expected}."
            )
        bare = timestamp[:-3] if is_long else timestamp
        return timestamp, signature_headers.unix_seconds(bare, self.timestamp_header)
