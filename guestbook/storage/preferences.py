"""The owner's settings on the admin pages: the book's title and texts, its moderation, its looks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from guestbook.lib import clock, text, validate
from guestbook.lib.errors import Refused, Translatable
from guestbook.storage import plain_sql
from guestbook.storage.plain_sql import Select

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

TITLE_LIMIT = 80  # characters
WORDS_LIMIT = 1000  # characters, of the welcome, the prompt and the accepted answers
EMBED_SITES_LIMIT = 20  # their names go into a header of each answer
QUESTION_LIMIT = 200  # characters
WORD_LIST_LIMIT = 10_000  # characters, of the words that hold a comment
GLYPHS_LIMIT = 50  # characters, one of which stands beside a comment
GLYPHS_MISSING = "Please give at least one character, or choose other pictures."
ANSWERS_MISSING = "Please give at least one answer that you accept, or no question."
WEBRING_LINK_LIMIT = 500  # characters
OWN_CSS_LIMIT = 10_000  # bytes: a first visit loads it, and with it must stay below 30 kB

LOOKS = ("paper", "plain", "terminal", "window", "1999")
BOOK_LANGUAGES = ("en", "de", "fr", "es")  # that the public pages speak
PICTURES = ("none", "drawn", "glyphs")  # beside comments
COUNTER_LOOK = "1999"  # the one that shows how often the book was opened


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings of the book, with their defaults."""

    title: str = Translatable("Guestbook")
    welcome: str = Translatable("You came by. Leave a line before you go.")
    prompt: str = ""  # above the form
    per_page: int = 20
    moderation: str = "suspicious"  # which comments wait for the owner
    closed: bool = False  # for new comments
    theme: str = "auto"  # light or dark colours; auto is what the reader's device likes
    look: str = "paper"  # one of LOOKS
    visitor_looks: bool = False  # whether visitors may choose another look for themselves
    webring_previous: str = ""  # links of a webring; "" leaves one out
    webring_home: str = ""
    webring_next: str = ""
    pictures: str = "none"  # one of PICTURES; by CGI each drawn one starts a program, so a new book has none
    glyphs: str = ""  # characters to choose from, with blanks between them
    own_css: str = ""  # a stylesheet of the owner's, after that of the look
    rate: int = 20  # comments that one network may write in ten minutes
    embed_sites: str = ""  # origins of websites that may show the book in a frame, one a line
    flood: int = 30  # comments a minute in the whole book, above which all are held for an hour
    words: str = ""  # a comment with one of these is held, one a line
    question: str = ""  # that visitors must answer
    answers: str = ""  # that count as right, one a line
    score: bool = True  # whether the spam rules learn from the owner's decisions
    mentions: bool = True  # whether pages that link here may tell so by Webmention
    language: str = "en"  # one of BOOK_LANGUAGES: of feeds, and of pages for browsers that speak none of them
    visitor_languages: bool = True  # whether pages follow the visitor's browser or choice
    asks_place: bool = False  # whether the form has a field for the place
    asks_note: bool = False  # whether it has one for a note to the owner
    timezone: str = clock.UTC_NAME  # of the dates on public pages
    visitor_times: bool = True  # whether a script shows them in the visitor's zone

    @property
    def accepts_mentions(self) -> bool:
        """Whether the endpoint is open."""
        return self.mentions and not self.closed

    @property
    def counts_hits(self) -> bool:
        """Whether anybody may see the hit counter."""
        return self.visitor_looks or self.look == COUNTER_LOOK


PREFERENCE_NAMES = tuple(field.name for field in fields(Preferences))
TITLE = "SELECT name, value FROM settings WHERE name = 'title'"
STORED = f"SELECT name, value FROM settings WHERE name IN {PREFERENCE_NAMES}"


def read(source: "Session | Connection") -> Preferences:
    """Return the settings; one that is missing, or was garbled by hand, has its default."""
    return selected(plain_sql.through(source))


def title(source: "Connection") -> str:
    """Return the book's title alone, which every event needs."""
    return selected(plain_sql.through(source), TITLE).title


def selected(select: Select, query: str = STORED) -> Preferences:
    """Return the settings that the query finds, through any connection; others have their defaults."""
    return from_rows(tuple((name, value) for name, value in select(query)))


@lru_cache(maxsize=8)
def from_rows(rows: tuple[tuple[str, str], ...]) -> Preferences:
    """Return the settings of these rows; cached, because each page needs them."""
    return Preferences(**_parsed(rows)[0])


def typed(settings: Preferences) -> dict[str, str]:
    """Return them as a form shows them and sends them back."""
    return {name: as_typed(getattr(settings, name)) for name in PREFERENCE_NAMES}


def as_typed(value: object) -> str:
    """Return a value as a form shows it and sends it back."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def lock(session: "Session") -> None:
    """Let nobody else save settings until the caller's transaction, which writes, has ended."""
    from sqlalchemy import select

    from guestbook.storage import upsert
    from guestbook.storage.models import Setting

    # A row that is always there then, with a number that needs no translation.
    upsert.insert_missing(session.connection(), Setting, name="per_page", value=str(Preferences().per_page))
    session.execute(select(Setting.name).where(Setting.name == "per_page").with_for_update())


def save(session: "Session", changes: Mapping[str, str]) -> None:
    """Set the named ones, all or, when one is wrong, none; raises Refused with a sentence for each field.

    Values are as a form sends them: numbers in digits, and `yes` or `no` for a box that may be ticked.
    """
    from guestbook.storage import audit_log
    from guestbook.storage.models import Setting

    kept, wrong = _parsed(changes.items())
    lock(session)
    before = read(session)
    after = replace(before, **kept)
    if after.question and not after.answers:
        wrong.setdefault("answers", ANSWERS_MISSING)
    if after.pictures == "glyphs" and not after.glyphs:
        wrong.setdefault("glyphs", GLYPHS_MISSING)
    if wrong:
        raise Refused.of(wrong)
    for name, value in kept.items():
        session.merge(Setting(name=name, value=as_typed(value)))
    session.flush()
    if changed := [name for name in kept if getattr(before, name) != getattr(after, name)]:
        audit_log.record(session, "changed", "settings", detail=", ".join(changed))


def _parsed(rows: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of their fields' types, and a sentence for the owner for each that is wrong."""
    kept: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in rows:
        try:
            kept[name] = PARSERS[name](value)
        except KeyError:
            wrong[name] = f"There is no setting {name}."
        except ValueError as error:
            wrong[name] = str(error)
    return kept, wrong


def _title(value: str) -> str:
    line = text.clean_line(value)
    if not line:
        raise ValueError("Please give the book a title.")
    return _short("This title", line, TITLE_LIMIT)


def _question(value: str) -> str:
    return _short("This question", text.clean_line(value), QUESTION_LIMIT)


def _words(value: str, limit: int = WORDS_LIMIT) -> str:
    return _short("This", text.clean_text(value).strip(), limit)


def _short(what: str, value: str, limit: int) -> str:
    if sentence := validate.too_long(what, value, limit):
        raise ValueError(sentence)
    return value


def _origins(value: str) -> str:
    found = list(dict.fromkeys(validate.web_origin(one) for one in value.split()))
    if len(found) > EMBED_SITES_LIMIT:
        raise ValueError(f"Please name at most {EMBED_SITES_LIMIT} websites.")
    return "\n".join(found)


def _link(value: str) -> str:
    link = text.clean_line(value)
    if not link:
        return ""
    validate.web_origin(_short("This address", link, WEBRING_LINK_LIMIT))
    if " " in link:
        raise ValueError("Please write a blank in an address as %20.")
    return link


def _stylesheet(value: str) -> str:
    css = text.clean_text(value)
    if (size := len(css.encode())) > OWN_CSS_LIMIT:
        raise ValueError(f"This has {size:,} bytes. Please use at most {OWN_CSS_LIMIT:,}.")
    return css


def _number(value: str, limits: range) -> int:
    if not value.isascii() or not value.strip().isdigit() or int(value[:9]) not in limits or len(value) > 9:
        raise ValueError(f"Please use a whole number from {limits[0]} to {limits[-1]:,}.")
    return int(value)


def _choice(value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise ValueError(f"Please choose one of {', '.join(choices)}.")
    return value


def _yes_or_no(value: str) -> bool:
    return _choice(value, ("yes", "no")) == "yes"


PARSERS: dict[str, Callable[[str], str | int | bool]] = {
    "title": _title,
    "welcome": _words,
    "prompt": _words,
    "per_page": partial(_number, limits=range(1, 101)),
    "moderation": partial(_choice, choices=("off", "suspicious", "all")),
    "closed": _yes_or_no,
    "mentions": _yes_or_no,
    "asks_place": _yes_or_no,
    "asks_note": _yes_or_no,
    "theme": partial(_choice, choices=("auto", "light", "dark")),
    "look": partial(_choice, choices=LOOKS),
    "visitor_looks": _yes_or_no,
    "webring_previous": _link,
    "webring_home": _link,
    "webring_next": _link,
    "pictures": partial(_choice, choices=PICTURES),
    "glyphs": partial(text.one_character_a_word, most=GLYPHS_LIMIT),
    "own_css": _stylesheet,
    "rate": partial(_number, limits=range(1, 10_001)),
    "embed_sites": _origins,
    "flood": partial(_number, limits=range(1, 10_001)),
    "words": partial(_words, limit=WORD_LIST_LIMIT),
    "question": _question,
    "answers": _words,
    "score": _yes_or_no,
    "language": partial(_choice, choices=BOOK_LANGUAGES),
    "visitor_languages": _yes_or_no,
    "timezone": clock.checked_zone,
    "visitor_times": _yes_or_no,
}
