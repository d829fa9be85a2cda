"""The owner's settings of the book: its title and texts, its moderation, its looks.

A setting is one attribute of `Preferences`, which says what its page, the API and the check need.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from guestbook.lib import clock, fields, text, validate
from guestbook.lib.errors import Refused, Translatable
from guestbook.storage import plain_sql
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.plain_sql import Select

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.orm import Session

TITLE_LIMIT = 80  # characters
WORDS_LIMIT = 1000  # characters. It is for the welcome, the prompt and the accepted answers.
EMBED_SITES_LIMIT = 20  # Their names go into a header of each answer.
QUESTION_LIMIT = 200  # characters
MOODS_LIMIT = 30  # lines
WORD_LIST_LIMIT = 10_000  # characters. It is for the words that hold a comment.
GLYPHS_LIMIT = 50  # characters. One of them stands beside a comment.
GLYPHS_MISSING = "Please give at least one character, or choose other pictures."
ANSWERS_MISSING = "Please give at least one answer that you accept, or no question."
OWN_LINK_LIMIT = 500  # characters. It is for the webring and the badges.
BADGES_LIMIT = 20  # lines
BADGE_TEXT_LIMIT = 24  # characters: two rows in 88 pixels
OWN_CSS_LIMIT = 10_000  # bytes. A first visit loads it, and with it must stay below 30 kB.
COMMENTS = range(1, 10_001)  # A limit allows so many.

BOOK_LANGUAGES = {
    **{"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "nl": "Nederlands"},
    **{"it": "Italiano", "pt": "Português", "pl": "Polski", "cs": "Čeština", "sv": "Svenska"},
    **{"ja": "日本語", "ar": "العربية"},
}
RIGHT_TO_LEFT = ("ar",)
LOOKS = {
    "paper": "Paper: warm and quiet",
    "plain": "Plain: little more than the browser itself",
    "terminal": "Terminal: green on black in the dark, striped printer paper in the light",
    "window": "Grey windows: title bars and bevels of the nineties",
    "1999": "1999: stars, ridges, and an odometer that counts visits",
}
BACKGROUNDS = {  # Each one but `none` has its tile in static/.
    "none": "None: as the look has it",
    "stars": "Stars",
    "waves": "Waves",
    "squares": "Squared paper",
    "bricks": "Bricks",
    "confetti": "Confetti",
}
COUNTER_LOOK = "1999"  # It shows how often the book was opened.
PICTURES = {  # By CGI each drawn one starts a program, so a new book has none.
    "none": "None",
    "drawn": "Drawn: a small face, the same for the same name",
    "glyphs": "Characters: one of yours, the same for the same name",
}
MODERATION = {
    "off": "Off: every comment appears at once. Comments by programs are still filtered as spam.",
    "suspicious": "Suspicious comments: what looks like advertising does not appear until you publish it.",
    "all": "All comments: each is held until you publish it.",
}
THEMES = {"auto": "Same as the reader’s device", "light": "Light", "dark": "Dark"}


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
    found = validate.web_origins(value)
    if len(found) > EMBED_SITES_LIMIT:
        raise ValueError(f"Please name at most {EMBED_SITES_LIMIT} websites.")
    return "\n".join(found)


def _mood(line: str) -> str:
    return _short(f"“{text.shortened(line, 20)}”", line, COMMENT_FIELDS["mood"].limit)


def _link(value: str) -> str:
    link = text.clean_line(value)
    if not link:
        return ""
    validate.web_origin(_short("This address", link, OWN_LINK_LIMIT))
    if " " in link:
        raise ValueError("Please write a blank in an address as %20.")
    return link


def _badge(line: str) -> str:
    words, link = _badge_parts(line)
    if not words or "://" in words:
        raise ValueError(f"Please write a text, then one link behind it: {text.shortened(line, 40)}")
    _short(f"“{text.shortened(words, 20)}”", words, BADGE_TEXT_LIMIT)
    _link(link)
    return line


def _badge_parts(line: str) -> tuple[str, str]:
    """Return the text and the link of a badge; the link is the last word if it has ://."""
    words, _, last = line.rpartition(" ")
    return (words, last) if "://" in last else (line, "")


def _contact(value: str) -> str:
    try:
        return _link(value) if not value or value.startswith("https://") else validate.mail_address(value)
    except ValueError:
        raise ValueError("Please give an e-mail address, or a page such as https://example.org/me.") from None


def _stylesheet(value: str) -> str:
    css = text.clean_text(value)
    if (size := len(css.encode())) > OWN_CSS_LIMIT:
        raise ValueError(f"This has {size:,} bytes. Please use at most {OWN_CSS_LIMIT:,}.")
    return css


@dataclass(frozen=True, slots=True)
class Preferences:
    """The settings of the book, in the order of their pages."""

    title: str = fields.line(
        Translatable("Guestbook"),
        "Title",
        "On the first page, in the browser’s tab and in every webhook.",
        _title,
        schema={"type": "string", "pattern": fields.VISIBLE},
        place="book/Texts",
        attributes={"required": "", "dir": "auto"},
    )
    welcome: str = fields.area(
        Translatable("You came by. Leave a line before you go."),
        "Welcome",
        "Under the title. Plain text; may be empty.",
        _words,
    )
    prompt: str = fields.area(
        "",
        "Text above the form",
        "Such as a question that is easy to answer. Plain text; may be empty.",
        _words,
    )
    contact: str = fields.line(
        "",
        "Contact",
        "Your e-mail address, or a page with https://. The page about privacy and /.well-known/security.txt "
        "show it to everybody. May be empty.",
        _contact,
        attributes=fields.EXACT_INPUT,
    )
    language: str = fields.choice(
        "en",
        "Language",
        "The language of feeds, and of pages for browsers that speak none of ours.",
        BOOK_LANGUAGES,
        control="select",
        place="book/Language",
    )
    visitor_languages: bool = fields.box(
        True,
        "Languages of visitors",
        "Follow the visitor’s browser, and let visitors choose at the foot of each page. The language above "
        "is then for feeds, and for browsers that ask for none of these. Your own texts and all comments "
        "stay as they are.",
    )
    timezone: str = fields.line(
        clock.UTC_NAME,
        "Time zone",
        "Dates of the book are in this zone, such as Europe/Berlin. The admin pages and feeds have UTC.",
        clock.checked_zone,
        place="book/Time zone",
        attributes={"list": "zones"},
    )
    visitor_times: bool = fields.box(
        True,
        "Time zones of visitors",
        "Show dates in the zone of the visitor’s device, with a small script. Without scripts, visitors see "
        "the zone above.",
    )
    per_page: int = fields.number(
        20, "Comments per page", "From 1 to 100.", range(1, 101), place="book/Appearance"
    )
    theme: str = fields.choice(
        "auto", "Light or dark", "Light or dark colours; auto is what the reader's device prefers.", THEMES
    )
    asks_place: bool = fields.box(
        False,
        "Place",
        "Ask visitors where they come from. The place stands after the name; they may leave it out.",
        place="book/Form",
    )
    moods: str = fields.area(
        "",
        "Moods",
        f"Visitors may choose one of these; it stands after the name. One a line, at most {MOODS_LIMIT}. "
        "Leave it empty to ask for none.",
        partial(validate.lines, most=MOODS_LIMIT, check=_mood),
    )
    asks_note: bool = fields.box(
        False,
        "Note to you",
        "Let visitors write you a note that only you read. Webhooks with moderation links get it too.",
    )
    reply_mails: bool = fields.box(
        False,
        "E-mail to visitors",
        "Visitors may leave an e-mail address, and get one e-mail when you reply. Needs GUESTBOOK_SMTP_URL.",
    )
    moderation: str = fields.choice(
        "suspicious",
        "Moderation",
        "Which comments wait for the owner: none, suspicious ones or all.",
        MODERATION,
        place="book/New comments",
    )
    rate: int = fields.number(
        20,
        "Rate limit",
        "Comments per network in ten minutes. Above that, visitors must wait; they keep their text.",
        COMMENTS,
    )
    flood: int = fields.number(
        30,
        "Flood limit",
        "Comments per minute in the whole book. Above that, all new ones are held for an hour.",
        COMMENTS,
    )
    closed: bool = fields.box(
        False, "Closed", "Accept no new comments. A sentence replaces the form; existing comments stay."
    )
    mentions: bool = fields.box(
        True,
        "Webmention",
        "Accept webmentions. A page that links to this book may become a comment; the same rules hold it.",
    )
    words: str = fields.area(
        "",
        "Words that hold a comment",
        "One word or phrase a line. A comment with one of them is held. May be empty.",
        partial(_words, limit=WORD_LIST_LIMIT),
        place="book/Spam",
    )
    question: str = fields.line(
        "",
        "Question",
        "Visitors must answer it in the form, such as: What colour is the cat on the first page? May be "
        "empty.",
        _question,
    )
    answers: str = fields.area(
        "", "Accepted answers", "One a line. Capital letters, spaces and punctuation do not matter.", _words
    )
    score: bool = fields.box(
        True,
        "Learned score",
        "Learn from what you publish and mark as spam, and hold comments that resemble your spam.",
    )
    look: str = fields.choice("paper", "Look", "The look of the book.", LOOKS, place="look")
    visitor_looks: bool = fields.box(
        False,
        "Visitors may choose",
        "Show all looks at the foot of each page. A cookie remembers the choice; nobody else gets one.",
    )
    background: str = fields.choice("none", "Background", "The pattern behind the pages.", BACKGROUNDS)
    pictures: str = fields.choice(
        "none", "Pictures beside comments", "The pictures beside comments.", PICTURES, place="look/Pictures"
    )
    glyphs: str = fields.area(
        "",
        "Your characters",
        f"With spaces between them, such as ☼ ★ ♥. At most {GLYPHS_LIMIT}.",
        partial(text.one_character_a_word, most=GLYPHS_LIMIT),
        attributes={"rows": 2, **fields.EXACT_INPUT},
    )
    smileys: bool = fields.box(
        False,
        "Smileys",
        "Show :-) and a few others as small pictures in comments and replies. Feeds, the API and webhooks "
        "keep the text.",
    )
    webring_previous: str = fields.line(
        "",
        "Previous site",
        "The links of a webring stand at the foot of each page. Leave a field empty to leave its link out.",
        _link,
        place="look/Webring and badges",
        attributes=fields.URL_INPUT,
    )
    webring_home: str = fields.line("", "Home of the webring", "", _link, attributes=fields.URL_INPUT)
    webring_next: str = fields.line("", "Next site", "", _link, attributes=fields.URL_INPUT)
    badges: str = fields.area(
        "",
        "Badges",
        f"The book draws them at the foot of each page. One a line, at most {BADGES_LIMIT}: a text of up to "
        f"{BADGE_TEXT_LIMIT} characters, then a link if you want one, such as: My cat https://example.org/cat",
        partial(validate.lines, most=BADGES_LIMIT, check=_badge),
    )
    own_css: str = fields.area(
        "",
        "Own CSS",
        f"At most {OWN_CSS_LIMIT:,} bytes. Pages load it after the look. Browsers refuse fonts and pictures "
        "of other sites in it.",
        _stylesheet,
        place="look/Your stylesheet",
        attributes={"rows": 10, "class": "code", **fields.EXACT_INPUT},
    )
    embed_sites: str = fields.area(
        "",
        "Websites",
        "One address a line, such as https://example.org. An address with www is another website. Leave it "
        "empty to allow none.",
        _origins,
        place="embed",
        attributes={"class": "code", **fields.EXACT_INPUT},
    )

    @property
    def contact_uri(self) -> str:
        """The contact as the address of a link (RFC 3986)."""
        if self.contact.startswith("https://"):
            return quote(self.contact, safe="%:/?#[]@!$&'()*+,;=")
        return validate.MAILTO + quote(self.contact, safe="@")

    @property
    def accepts_mentions(self) -> bool:
        """Whether the endpoint is open."""
        return self.mentions and not self.closed

    @property
    def badge_wall(self) -> list[tuple[str, str]]:
        """The text and the link of each badge, in the owner's order."""
        return [_badge_parts(line) for line in self.badges.splitlines()]

    @property
    def has_extras(self) -> bool:
        """Whether pages need the stylesheet of what an owner may add to a look."""
        return self.smileys or self.background != "none" or bool(self.badges)

    @property
    def counts_hits(self) -> bool:
        """Whether anybody may see the hit counter."""
        return self.visitor_looks or self.look == COUNTER_LOOK


PREFERENCE_FIELDS = fields.of(Preferences)
TITLE = "SELECT name, value FROM settings WHERE name = 'title'"
STORED = f"SELECT name, value FROM settings WHERE name IN {tuple(PREFERENCE_FIELDS)}"


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
    return Preferences(**_checked(rows)[0])


def typed(settings: Preferences) -> dict[str, str]:
    """Return the preferences as a form shows them and sends them back."""
    return {name: fields.as_typed(getattr(settings, name)) for name in PREFERENCE_FIELDS}


def lock(session: "Session") -> None:
    """Let nobody else save settings until the caller's transaction, which writes, has ended."""
    from sqlalchemy import select

    from guestbook.storage import row_changes
    from guestbook.storage.models import Setting

    # A row that is always there then, with a number that needs no translation.
    value = str(Preferences().per_page)
    row_changes.insert_missing(session.connection(), Setting, name="per_page", value=value)
    session.execute(select(Setting.name).where(Setting.name == "per_page").with_for_update())


def save(session: "Session", changes: Mapping[str, str]) -> None:
    """Set the named ones, all or, when one is wrong, none; raises Refused with a sentence for each field.

    Values are as a form sends them: numbers in digits, and `yes` or `no` for a box that may be ticked.
    """
    from guestbook.storage import audit_log
    from guestbook.storage.models import Setting

    kept, wrong = _checked(changes.items())
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
        session.merge(Setting(name=name, value=fields.as_typed(value)))
    session.flush()
    if changed := [name for name in kept if getattr(before, name) != getattr(after, name)]:
        audit_log.record(session, "changed", "settings", detail=", ".join(changed))


def _checked(rows: Iterable[tuple[str, str]]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of their fields' types, and a sentence for the owner for each that is wrong."""
    kept: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in rows:
        try:
            kept[name] = PREFERENCE_FIELDS[name].check(value)
        except KeyError:
            wrong[name] = f"There is no setting {name}."
        except ValueError as error:
            wrong[name] = str(error)
    return kept, wrong
