"""The demo's book: its rows at the start, and queries of what happened to them."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from guestbook.auth import login
from guestbook.comments import book
from guestbook.comments.comment_form import Draft
from guestbook.comments.moderation_policy import Classification
from guestbook.comments.spam import texts
from guestbook.inbound import bins
from guestbook.lib import clock, ids
from guestbook.outbound import webhooks
from guestbook.settings import Settings
from guestbook.storage import database
from guestbook.storage.models import Bin, BinRequest, Delivery

BIN_ANSWER = "Thank you!\n"
SAMPLE_COMMENTS = (
    ("Grace", "Found your site by way of a friend's. The photos of the harbour are lovely!"),
    ("Łukasz", "Greetings from Łódź 🦋 I have taken your recipe for pierogi home."),
    ("Mary", "I was here, and I will come back."),
)
REPLY = "Please do, Mary! The next photos come in spring."


@dataclass(frozen=True, slots=True)
class SampleBook:
    """The bin, the webhook that sends to it, and the passwords."""

    bin_id: str
    secret: str
    password: str


def prepare(engine: Engine, settings: Settings) -> SampleBook:
    """Create the tables, the password, some comments, a bin, and then the webhook."""
    database.create_tables(engine)
    password = login.random_password()
    with Session(engine) as opened, database.writing(opened) as session:
        login.set_password(session, password)
        _write_comments(session, settings)
        bin_ = bins.add(session, {"name": "demo", "body": BIN_ANSWER})
        fields = {"url": bin_.url(settings.base_url), "name": "the bin"}
        webhook = webhooks.add(session, fields, settings)
        return SampleBook(bin_.id, webhook.secret, password)


def fail_next(engine: Engine, sample: SampleBook) -> None:
    """Let the bin fail one request and then succeed."""
    with Session(engine) as opened, database.writing(opened) as session:
        bins.update(session, session.get_one(Bin, sample.bin_id), {"fail": "1"})


def delivery_of(engine: Engine, comment_id: str) -> Delivery:
    """Return the delivery that a comment caused."""
    with Session(engine) as session:
        return session.scalars(select(Delivery).where(Delivery.comment_id == comment_id)).one()


def bin_requests(engine: Engine, sample: SampleBook, delivery: Delivery) -> list[BinRequest]:
    """Return the bin's requests of a delivery, the first one first."""
    with Session(engine) as session:
        rows = bins.latest(session, sample.bin_id, bins.REQUESTS_KEPT)
    return [row for row in reversed(rows) if header(row, "webhook-id") == delivery.event_id]


def header(row: BinRequest, name: str) -> str:
    """Return a header of a request; the case of its name does not matter."""
    return next((value for key, value in row.pairs if key.lower() == name.lower()), "")


def _write_comments(session: Session, settings: Settings) -> None:
    """Sign the book as if some days ago. No webhook exists yet, so there are no deliveries."""
    for days, (name, message) in zip(range(len(SAMPLE_COMMENTS), 0, -1), SAMPLE_COMMENTS, strict=True):
        draft, published = Draft(name, None, message, {}), Classification("published")
        comment = book.sign(session, draft, published, form_key=None, settings=settings)
        texts.forget_text(session, comment)  # what refers to the id
        comment.created_at = clock.now() - timedelta(days=days)
        comment.id = ids.first_of(comment.created_at)[:12] + comment.id[12:]  # the book is sorted by id
        session.flush()
        texts.remember_text(session, comment)
    book.reply(session, comment, REPLY, settings)
