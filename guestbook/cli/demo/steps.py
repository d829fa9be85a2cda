"""The three steps of the tour. Each makes something happen, waits for it and shows what came of it."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine

from guestbook.cli.demo import http_visitor, printing, sample_book
from guestbook.cli.demo.processes import Processes
from guestbook.cli.demo.sample_book import Props
from guestbook.cli.demo.workspace import Place
from guestbook.lib import byte_view, signing, verification
from guestbook.lib.errors import Refused
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
QUESTION = "Does this get through?"
WORD, OTHER_WORD = b"Hello", b"Jello"  # of the greeting, and with one letter changed


@dataclass(frozen=True, slots=True)
class Scene:
    """Where the steps happen."""

    place: Place
    running: Processes
    engine: Engine
    props: Props


def delivery(scene: Scene) -> BinRequest:
    """Sign the book and show what arrives at the bin; return it."""
    printing.title("1. A delivery")
    printing.say(f"Ada signs the book, by a real request over HTTP: “{GREETING}”")
    comment_id = http_visitor.sign(scene.place.address, "Ada", GREETING)
    printing.say(
        "She had her answer at once: her comment and its delivery to the bin were stored in one transaction, "
        "and no request to anybody was made. Sending is the work of the pass."
    )
    sent = sample_book.delivery_of(scene.engine, comment_id)
    request = _arrival(scene, sent, 1, SENT_WITHIN)
    printing.say(f"{_after(sent, request)} later this was in the bin:")
    printing.listing(_lines(request))
    printing.say(f"The bin has answered {request.answered}: delivered.")
    return request


def retry(scene: Scene) -> None:
    """Let the bin fail once, and show that the same webhook comes again."""
    printing.title("2. A failure and its retry")
    printing.say(
        "Receivers have bad days. The bin is set to fail the next request; then Alan signs the book."
    )
    sample_book.fail_next(scene.engine, scene.props)
    comment_id = http_visitor.sign(scene.place.address, "Alan", QUESTION)
    sent = sample_book.delivery_of(scene.engine, comment_id)
    first = _arrival(scene, sent, 1, SENT_WITHIN)
    printing.listing([_attempt(first)])
    printing.say(
        "The delivery stays in the database, and by the retry schedule it is due again in 5 seconds, give or "
        "take one. So we wait…"
    )
    second = _arrival(scene, sent, 2, RETRIED_WITHIN)
    printing.listing([_attempt(second)])
    _check_retry(first, second)
    waited = (second.received_at - first.received_at).total_seconds()
    printing.say(
        f"The retry came {waited:.1f} seconds later, with the same webhook-id and the same body. By the id a "
        "receiver knows what it has seen before. Had it failed again, up to eight more attempts would have "
        "followed, over three days."
    )


def signature(scene: Scene, request: BinRequest) -> None:
    """Verify what arrived as a receiver does, and show that one changed letter breaks the signature."""
    printing.title("3. A signature check")
    printing.say(
        "Anybody may send something to the bin. That Ada's webhook came from the book, its signature proves. "
        "What is signed is the id, the timestamp and the exact body, joined by dots:"
    )
    body = request.kept
    printing.listing([_base_string(request, body)])
    printing.say("The HMAC-SHA256 of that, with the webhook's secret as the key, in base64:")
    _compare(scene, request, body, genuine=True)
    printing.say("They are the same, so it is genuine. Now let one letter change on the way, Hello to Jello:")
    _compare(scene, request, body.replace(WORD, OTHER_WORD, 1), genuine=False)
    printing.say(
        "They differ, and a receiver refuses it. The desk explains this for each delivery, with programs in "
        "Python, PHP, Node and Ruby that verify it."
    )


def _arrival(scene: Scene, sent: Delivery, number: int, seconds: float) -> BinRequest:
    """Wait until the bin has caught so many requests for a delivery; return the last of them."""

    def look() -> BinRequest | None:
        caught = sample_book.caught(scene.engine, scene.props, sent)
        return caught[number - 1] if len(caught) >= number else None

    what = "Nothing arrived at the bin" if number == 1 else "The retry did not arrive at the bin"
    return scene.running.wait_for(look, seconds, what)


def _after(sent: Delivery, request: BinRequest) -> str:
    """Return how long after the comment the request arrived."""
    milliseconds = max(1, (request.received_at - sent.created_at) // timedelta(milliseconds=1))
    return f"{milliseconds} milliseconds" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} seconds"


def _lines(request: BinRequest) -> list[str]:
    """Return a request as people read it: the headers that we set, and the body in lines."""
    headers = [f"{name}: {sample_book.header(request, name)}" for name in SHOWN_HEADERS]
    body = byte_view.view(request.kept, sample_book.header(request, "Content-Type")).text
    return [f"{request.method} (the bin's address)", *headers, "", *body.split("\n")]


def _attempt(request: BinRequest) -> str:
    number = sample_book.header(request, "X-Guestbook-Attempt")
    event_id = sample_book.header(request, "webhook-id")
    return f"attempt {number}  answered {request.answered}  webhook-id {event_id}"


def _check_retry(first: BinRequest, second: BinRequest) -> None:
    if (first.answered, second.answered) != (500, 200) or first.kept != second.kept:
        raise Refused(f"The attempts were not as they should be: {_attempt(first)}, {_attempt(second)}.")


def _base_string(request: BinRequest, body: bytes) -> str:
    return signing.signed_content(*_stamp(request), body).decode()


def _stamp(request: BinRequest) -> tuple[str, int]:
    return sample_book.header(request, "webhook-id"), int(sample_book.header(request, "webhook-timestamp"))


def _compare(scene: Scene, request: BinRequest, body: bytes, *, genuine: bool) -> None:
    """Show the signature that a body needs beside the one that came; Refused when the verdict surprises."""
    needed = signing.standard((signing.key_of(scene.props.secret),), *_stamp(request), body)
    came = sample_book.header(request, "webhook-signature")
    printing.listing([f"computed  {needed}", f"arrived   {came}"])
    headers = {name.lower(): value for name, value in request.pairs}
    verdict = verification.verify("standard", (scene.props.secret,), headers, body, request.received_at)
    if not verdict.ok == (needed == came) == genuine:
        raise Refused(f"The signature check went wrong: {verdict.sentence}")
