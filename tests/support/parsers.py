"""The parsers of what strangers send, each with what must hold whatever bytes it gets."""

import io
import json
import re
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from urllib3.util import parse_url

from guestbook.comments import comment_form
from guestbook.comments.comment_form import Draft
from guestbook.comments.exchange import comment_import, other_programs
from guestbook.inbound import event_reader, ingest, sender_presets, verify_and_decide, webmention_pages
from guestbook.inbound.event_reader import BodyError
from guestbook.inbound.verify_and_decide import InboundDecision, ReceivedEvent
from guestbook.inbound.webmentions import MentionRequest
from guestbook.lib import (
    body_encoding,
    clock,
    parse_html,
    retry_policy,
    template_sandbox,
    text,
    validate,
    verification,
)
from guestbook.lib.errors import Refused
from guestbook.lib.verification.kinds import VERIFICATION_KINDS, Unproven
from guestbook.outbound import formats, rate_and_time_limits
from guestbook.storage.models import Source
from guestbook.transport import attempt_budget, connections, http_response, urls
from guestbook.transport.addresses import AddressPolicy, shared
from guestbook.transport.failure import TransportError
from guestbook.transport.http_request_and_redirects import FetchedPage, ReceiverAnswer, Transport, _target
from guestbook.web.admin import curl_command
from tests.support.comment_files import assert_kept_by_export
from tests.support.raw_request import HOME, RawRequests, headers_and_body

NOW, ID, PAGE = clock.now(), "0" * 32, "https://a.example/post"
METADATA_LIMITS = (
    event_reader.EVENT_LIMIT,
    event_reader.ID_LIMIT,
    event_reader.SENDER_LIMIT,
)  # as in its columns
MOST_SHOWN = 70_000  # characters of a body, on a page
LEAK = re.compile(r"<(class|function|bound method|module|built-in)|object at 0x")  # Python's own values
EVENT = {"text": "Hello, wörld! " * 20, "number": 7, "list": ["a", {"b": [1, 2.5, True]}] * 9, "none": None}
TYPED = (
    *(text.clean_text, text.clean_line, validate.name, validate.web_origin, validate.mail_address),
    *(clock.checked_zone, lambda line: text.one_character_a_word(line, 50)),
)


class Parsers:
    """One method for each parser. It raises AssertionError if a promise is broken, and otherwise nothing."""

    def __init__(self, folder: Path, url: str = "") -> None:
        self._file = folder / "file"
        book = RawRequests(folder, url)
        self.web, self.close = book.send, book.close
        self._pages = webmention_pages.PageReader(Transport(), 15, HOME, rate_and_time_limits.NO_LIMIT)
        self._sources = []
        for preset in map(sender_presets.settings_of, sender_presets.SENDER_PRESETS):
            source = Source(verify=preset.pop("verify"), header=preset.pop("header", None), scheme=preset)
            source.secret = VERIFICATION_KINDS[source.verify].new_secret()
            self._sources.append(source)

    def url(self, data: bytes) -> None:
        """Check a URL: the transport connects to the host that was checked. Then follow a redirect to it."""
        moved = ReceiverAnswer(302, {"location": data.decode("latin-1")}, b"", None)
        with (
            patch.object(Transport, "send", lambda *given, **_: _target(given[2], False, (), None) and moved),
            suppress(TransportError),
        ):
            Transport().get(PAGE, {})
        try:
            normal = urls.check_destination(data.decode(errors="surrogateescape"))
        except ValueError:
            return
        assert urls.check_destination(normal) == normal
        route, host, target = _target(normal, False, (), None)
        assert len(connections.message("POST", target, {"Host": host}, b"").split()) == 5
        assert (parse_url(normal).host or "").strip("[]").rstrip(".") == route.host
        try:
            found = socket.getaddrinfo(route.host, route.port, flags=socket.AI_NUMERICHOST)
        except (OSError, UnicodeError):
            return  # It is a name.
        assert all(AddressPolicy().admits(str(one[4][0])) for one in found)

    def answer(self, data: bytes) -> None:
        """Read a receiver's answer, which means the same in whatever pieces it arrives; decide about it."""
        found: list[Any] = []
        for size in (http_response.READ_SIZE, 7 + len(data) // 99):
            attempt_budget.current.set(attempt_budget.AttemptBudget(15, AddressPolicy(), shared))
            wire = SimpleNamespace(recv=partial(_piece, io.BytesIO(data), size))
            try:
                answer = http_response.Answer(wire, "POST")
                found.append((answer.status, dict(answer.fields), *answer.read_body()))
            except TransportError as error:
                found.append(error.reason)
        assert found[0] == found[1] or len(data) > http_response.HEAD_LIMIT
        for one in formats.FORMATS.values() if isinstance(found[0], tuple) else ():
            decision = one.policy(answer.status, answer.fields, NOW, found[0][2])
            for seconds in (decision.pause, decision.delay):
                assert 0 <= seconds <= retry_policy.RETRY_AFTER_CAP

    def page(self, data: bytes) -> None:
        """Read a page that mentions the book."""
        headers, body = headers_and_body(data)
        fetched = FetchedPage(PAGE, ReceiverAnswer(200, headers, body, None))
        decision = self._pages._decide(MentionRequest(PAGE, f"{HOME}/"), fetched)
        _check_draft(decision)
        with suppress(body_encoding.PackedWrongly):
            parse_html.endpoint(parse_html.read(PAGE, headers, body, 1_000_000))

    def inbound(self, data: bytes) -> None:
        """Read, show and decide about a webhook that was sent to the book."""
        headers, body = headers_and_body(data)
        preset = sender_presets.PRESETS.get(headers.get("preset", ""), "{{ payload.message }}")
        for action in ("comment", "forward"):
            _check_draft(_decided(headers, body, preset, action))
        assert all(len(view.text) <= MOST_SHOWN for view in event_reader.views(headers, body))
        assert body_encoding.unpack(*body_encoding.pack(body)) == body
        with suppress(BodyError):
            payload = event_reader.parse(headers, body)
            json.dumps(payload, ensure_ascii=False, allow_nan=False).encode()
            facts = event_reader.extract_metadata(headers, payload)
            for fact, limit in zip(facts, METADATA_LIMITS, strict=True):
                assert fact is None or (0 < len(fact) <= limit and text.clean_line(fact) == fact)
        for kind in VERIFICATION_KINDS:
            event_reader.is_handshake(kind, body)
        event_reader.discord_answer(body)
        curl_command.command("POST", PAGE, list(headers.items()), body, "file")

    def template(self, data: bytes) -> None:
        """Run a template: it reaches nothing but its event, and keeps its limits."""
        source = data.decode(errors="replace")
        try:
            said = template_sandbox.render(source, {"payload": EVENT, "event": "x", "sender": "ada"}).text
        except template_sandbox.TemplateFault as fault:
            said = str(fault)
        assert len(said) <= template_sandbox.OUTPUT_LIMIT
        assert not LEAK.search(said) or LEAK.search(source)
        _check_draft(_decided({}, json.dumps(EVENT).encode(), source, "comment"))

    def signature(self, data: bytes) -> None:
        """Verify a request: no stranger can sign it, and its sender can, whatever else its headers hold."""
        headers, body = headers_and_body(data)
        for one in self._sources:
            forged, seconds = ingest.kept(headers, one, "k"), int(NOW.timestamp())
            assert not one.verify_request(forged, body, NOW, ("k",)).ok
            with suppress(Unproven):  # Only the sender has its private key.
                how: Any = {"header": one.header, "scheme": one.signature_scheme, "seconds": seconds}
                right = verification.sign_request(one.verify, one.secret, body, event_id=ID, **how)
                signed = forged | ingest.kept(right, one, "k")
                assert one.verify_request(signed, body, NOW, ("k",)).ok
                assert one.verify == "token" or not one.verify_request(signed, body + b" ", NOW, ("k",)).ok

    def comments_file(self, data: bytes) -> None:
        """Import a file of comments: each that is taken survives its own export."""
        self._file.write_bytes(data)
        has_owners = data[:1] in (b"<", b"S")
        how = other_programs.ImportOptions(owners=frozenset({"ada"} if has_owners else ()))
        nothing = io.BufferedReader(io.BytesIO())  # type: ignore[arg-type]  # It reads as a raw stream does.
        with suppress(Refused), other_programs.opened(self._file, nothing, how) as file:
            for row in file.rows:
                with suppress(Refused):
                    assert_kept_by_export(comment_import.check_row(row, NOW), NOW)

    def typed(self, data: bytes) -> None:
        """Read what somebody types into a field: it is refused, or comes back and is taken as it is."""
        line = data.decode(errors="surrogateescape")
        for check in TYPED:
            with suppress(ValueError, Refused):
                once = check(line)
                assert check(once) == once
        with suppress(ValueError):
            clock.typed(line)
        with suppress(ValueError):
            headers = urls.check_headers([one.partition(": ")[::2] for one in line.split("\n")])
            connections.message("POST", "/", headers, b"")
        draft = comment_form.read({"name": line, "website": line, "message": line})
        assert draft.errors or _typed_again(draft) == draft
        validate.storable(draft.message, field="message")
        assert text.plain_cell(text.inert_cell(line)) == line
        assert text.display_width(text.cut_to_width(draft.name, 20)) <= 20


def _piece(file: io.BytesIO, size: int, _most: int) -> bytes:
    return file.read(size)


def _decided(headers: dict[str, str], body: bytes, template: str, action: str) -> InboundDecision:
    source = Source(id=ID, name="s", verify="none", action=action, template=template)
    event = ReceivedEvent(ID, headers, body, NOW)
    return verify_and_decide.decide(event, source, base_url=HOME, proof_keys=())


def _check_draft(decision: InboundDecision) -> None:
    """The comment that was made of what a stranger sent is one that the form would take."""
    draft = getattr(decision.action, "draft", None)
    if draft is not None:
        assert not draft.errors
        assert _typed_again(draft) == draft


def _typed_again(draft: Draft) -> Draft:
    return comment_form.read({name: value or "" for name, value in draft.values.items()})
