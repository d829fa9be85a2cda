"""Sources as JSON, without their secrets."""

from typing import Any

from guestbook.lib.verification.signature_scheme import ED25519
from guestbook.storage.models import Source
from guestbook.storage.models.source import scheme_of
from guestbook.web import current
from guestbook.web.api import row_shape, source_schemas


def source(row: Source, *, with_secret: bool = False) -> dict[str, Any]:
    """Return a source; its secret only when new."""
    more = {"url": row.url(current.settings().base_url), "scheme": _scheme(row)}
    shape = row_shape.of(row, source_schemas.SOURCE_SCHEMA, more)
    return shape | {"secret": row.secret} if with_secret else shape


def _scheme(row: Source) -> dict[str, Any] | None:
    """Return how its sender signs, with the defaults filled in, as a request may have it."""
    scheme = scheme_of(row.verify, row.header, row.scheme)
    if scheme is None:
        return None
    hash_name = {} if scheme.hash_name == ED25519 else {"hash": scheme.hash_name}
    return {
        **hash_name,
        "encoding": scheme.encoding,
        "prefix": scheme.prefix,
        "content": scheme.content,
        "timestamp_header": scheme.timestamp_header,
        "tolerance": scheme.tolerance,
    }
