"""Bins and their requests as JSON."""

from typing import Any

from guestbook.inbound.bin_requests.replay import Replayed
from guestbook.inbound.bin_requests.signature_check import Check
from guestbook.lib.redaction import HIDDEN
from guestbook.storage.models import Bin, BinRequest
from guestbook.web import current
from guestbook.web.api import authentication, bin_schemas, row_shape, token_view


def bin_(row: Bin) -> dict[str, Any]:
    """Return a bin."""
    more = {
        "url": row.url(current.settings().base_url),
        "answer_type": row.answer_type.partition(";")[0],
    }
    return row_shape.of(row, bin_schemas.BIN_SCHEMA, more)


def bin_request(row: BinRequest) -> dict[str, Any]:
    """Return a request as a list shows it. Like its headers, its query may have passwords of others."""
    is_hidden = row.query and not authentication.may("manage")
    return row_shape.of(row, bin_schemas.BIN_REQUEST_SCHEMA, {"query": HIDDEN} if is_hidden else None)


def bin_request_in_full(row: BinRequest, check: Check) -> dict[str, Any]:
    """Return a request with its headers, its body and what its signatures prove.

    Its headers may have passwords of others, also those that a webhook of the book sends.
    """
    may_see = authentication.may("manage")
    return bin_request(row) | {
        "headers": [{"name": name, "value": value if may_see else HIDDEN} for name, value in row.pairs],
        **_body(row.kept),
        "signatures": [row_shape.of(one, ("header", "matches", "sentence")) for one in check.findings],
        "warning": check.warning,
    }


def replayed(result: Replayed) -> dict[str, Any]:
    """Return the answer to a request that was sent again."""
    return {
        "url": result.url,
        "milliseconds": result.milliseconds,
        "status": result.status,
        "headers": dict(result.headers),
        **_body(result.body),
        "error": result.error or None,
    }


def _body(content: bytes) -> dict[str, str]:
    body, encoding = token_view.packed(content)
    return {"body": body, "encoding": encoding}
