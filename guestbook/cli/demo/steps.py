"""The three steps of the tour. Each makes something happen, waits for it and shows the result."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine

from guestbook.cli.demo import http_visitor, printing, sample_book
from guestbook.cli.demo.processes import Processes
from guestbook.cli.demo.sample_book import SampleBook
from guestbook.cli.demo.workspace import Workspace
from guestbook.lib import byte_view, signing
from guestbook.lib.errors import Refused
from guestbook.lib.verification import verify_signature
from guestbook.storage.models import BinRequest, Delivery

SENT_WITHIN = 20.0  # seconds; it takes less than one
RETRIED_WITHIN = 30.0  # seconds; it takes four to six
SHOWN_HEADERS = (
    "Content-Type",
    "User-Agent",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "X-Hub-Signature-256",
    "X-Guestbook-Event",
    "X-Guestbook-Attempt",
)
GREETING = "Hello from the demo!"
WORD, OTHER_WORD = b"Hello", b"Jello"  # of the greeting, and with one letter changed


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the steps happen."""

    place: Workspace
    running: Processes
    engine: Engine
    sample: SampleBook


def delivery(scene: Scene) -> BinRequest:
    """Sign the book and show what arrives at the bin; return it."""
    printing.title("1. A delivery")
    printing.paragraph(f"Ada signs the book with a real HTTP request: “{GREETING}”")
    comment_id = http_visitor.sign(scene.place.address, "Ada", GREETING)
    printing.paragraph(
        "She got her answer at once. Her comment and its delivery to the bin were stored in one transaction, "
        "and nothing was sent yet. The pass does the sending."
    )
    sent = sample_book.delivery_of(scene.engine, comment_id)
    request = _bin_request(scene, sent, 1, SENT_WITHIN)
    printing.paragraph(f"{_after(sent, request)} later the bin has this request:")
    printing.listing(_lines(request))
    printing.paragraph(f"The bin answered {request.answered}: delivered.")
    return request


def retry(scene: Scene) -> None:
    """Let the bin fail once, and show that the webhook is sent again."""
    printing.title("2. A failure and its retry")
    printing.paragraph(
        "Receivers fail sometimes. We let the bin fail the next request, and Alan signs the book."
    )
    sample_book.fail_next(scene.engine, scene.sample)
    comment_id = http_visitor.sign(scene.place.address, "Alan", "Does this get through?")
    sent = sample_book.delivery_of(scene.engine, comment_id)
    first = _bin_request(scene, sent, 1, SENT_WITHIN)
    printing.listing([_attempt(first)])
    printing.paragraph(
        "The delivery stays in the database. The retry schedule makes it due again in about 5 seconds. "
        "So we wait…"
    )
    second = _bin_request(scene, sent, 2, RETRIED_WITHIN)
    printing.listing([_attempt(second)])
    if (first.answered, second.answered) != (500, 200) or first.kept != second.kept:
        raise Refused(f"The attempts were not as they should be: {_attempt(first)}, {_attempt(second)}.")
    waited = (second.received_at - first.received_at).total_seconds()
    printing.paragraph(
        f"The retry came {waited:.1f} seconds later, with the same webhook-id and the same body. The id lets "
        "a receiver drop repeats. If the retry fails too, up to eight more attempts follow, over three days."
    )


def signature(scene: Scene, request: BinRequest) -> None:
    """Verify the request as a receiver does, and show that one changed letter breaks the signature."""
    printing.title("3. A signature check")
    printing.paragraph(
        "Anybody can send something to the bin. The signature proves that Ada's webhook came from the book. "
        "It covers the id, the timestamp and the exact body, joined by dots:"
    )
    body = request.kept
    printing.listing([signing.signed_content(*_stamp(request), body).decode()])
    printing.paragraph("This is the HMAC-SHA256 of that in base64, with the webhook's secret as the key:")
    _compare(scene, request, body, genuine=True)
    printing.paragraph(
        "They are equal, so the webhook is genuine. Now one letter changes on the way, Hello to Jello:"
    )
    _compare(scene, request, body.replace(WORD, OTHER_WORD, 1), genuine=False)
    printing.paragraph(
        "They differ, so a receiver refuses it. The admin pages explain this for each delivery, with code in "
        "Python, PHP, Node and Ruby."
    )


def _bin_request(scene: Scene, sent: Delivery, number: int, seconds: float) -> BinRequest:
    """Wait for that number of requests of a delivery in the bin; return the last of them."""

    def look() -> BinRequest | None:
        requests = sample_book.bin_requests(scene.engine, scene.sample, sent)
        return requests[number - 1] if len(requests) >= number else None

    what = "Nothing arrived at the bin" if number == 1 else "The retry did not arrive at the bin"
    return scene.running.wait_for(look, seconds, what)


def _after(sent: Delivery, request: BinRequest) -> str:
    milliseconds = max(1, (request.received_at - sent.created_at) // timedelta(milliseconds=1))
    return f"{milliseconds} milliseconds" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} seconds"


def _lines(request: BinRequest) -> list[str]:
    """Return the lines of a request: the headers that we set, and the body."""
    headers = [f"{name}: {sample_book.header(request, name)}" for name in SHOWN_HEADERS]
    body = byte_view.view(request.kept, sample_book.header(request, "Content-Type")).text
    return [f"{request.method} (the bin's address)", *headers, "", *body.split("\n")]


def _attempt(request: BinRequest) -> str:
    number = sample_book.header(request, "X-Guestbook-Attempt")
    event_id = sample_book.header(request, "webhook-id")
    return f"attempt {number}  answered {request.answered}  webhook-id {event_id}"


def _stamp(request: BinRequest) -> tuple[str, int]:
    return sample_book.header(request, "webhook-id"), int(sample_book.header(request, "webhook-timestamp"))


def _compare(scene: Scene, request: BinRequest, body: bytes, *, genuine: bool) -> None:
    """Show the signature that a body needs and the one that arrived; Refused when our verdict is wrong."""
    needed = signing.standard((signing.key_of(scene.sample.secret),), *_stamp(request), body)
    came = sample_book.header(request, "webhook-signature")
    printing.listing([f"computed  {needed}", f"arrived   {came}"])
    headers = {name.lower(): value for name, value in request.pairs}
    verdict = verify_signature.verify("standard", (scene.sample.secret,), headers, body, request.received_at)
    if not verdict.ok == (needed == came) == genuine:
        raise Refused(f"The signature check went wrong: {verdict.sentence}")
