"""The spam rules decide whether a comment is published, held or spam, and why.

A rule is a pure function in one of the two tables. It looks at the facts of a comment, which `gather` at the
end asks of the database, and may object. Only suspicious comments wait: an owner who must approve everything
gives up.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from guestbook.comments.comment_form import Draft
from guestbook.comments.spam import text_marks, trained_score
from guestbook.comments.spam.learned_words import (
    IN_ADDRESS,
    SUSPICIOUS_SUM,
    TELLING_SUM,
    URL,
    Score,
    host_of,
    score as learned_score,
)
from guestbook.comments.spam.text_marks import Repeated
from guestbook.comments.spam.trained_score import TrainedScore
from guestbook.lib import ids
from guestbook.lib.text import shortened
from guestbook.storage.models import Comment
from guestbook.storage.models.comment import REASON_LIMIT
from guestbook.storage.plain_sql import Select
from guestbook.storage.preferences import Preferences

QUICKEST_PERSON = 3.0  # seconds to write a text with a link
MOST_LINKS = 3  # links in a message
MOST_FIRST_LINKS = 1  # links in the first comment of a visitor
MOST_LINK_MARKUP = 3  # links in markup
FEWEST_WORDS = 2  # words of advertising
# The trained score, as logarithms of odds: below the first a comment is harmless.
HARMLESS, SUSPICIOUS, CERTAIN = 0.0, 0.75, 3.0
SAYS_NOTHING = -0.25  # about what a link alone has
LEARNED_PART, MOST_LEARNED = 4.0, 1.5  # what the learned score adds to it
MOST_TRAINED = 3.0  # what the trained score takes off the learned one
HOST = re.compile(r"https?://(?:www\.)?([\w.-]+)")
SHOWN = 40  # characters of a word in a reason


@dataclass(frozen=True, slots=True)
class CommentFacts:
    """What the rules know of a comment. None means that it is not known, or does not apply."""

    draft: Draft
    trap: str = ""  # the hidden field's content
    age: float | None = None  # seconds from showing the form to sending it
    is_known_visitor: bool | None = None  # whether an earlier comment of this browser stands in the book
    is_website_unknown: bool = False  # whether its form may have been on any website
    listed_word: str | None = None  # a word of the owner's list that it holds
    foreign: str | None = None  # a writing system, or another language, that no comment of the book uses
    repeated: Repeated | None = None  # an earlier comment with almost the same text
    score: Score | None = None  # the learned score
    flood_ends: str | None = None  # the end of a flood, which holds every comment, in words

    @property
    def has_address(self) -> bool:
        """Whether it leads readers somewhere: a website, a link or an e-mail address."""
        # In a note it is for the owner.
        is_mail = text_marks.MAIL_LIKE.search(self.draft.message) is not None
        return bool(self.draft.website) or is_mail or text_marks.links(self.draft.texts) > 0

    @property
    def hosts(self) -> str:
        """The hosts of its addresses, casefolded."""
        return " ".join([host_of(self.draft.website), *URL.findall(self.draft.all_words.casefold())])

    @property
    def trained(self) -> TrainedScore:
        """The trained score, to which what the owner decided before adds a little."""
        learned = (self.score.weight, self.score.telling) if self.score else (0.0, 0.0)
        part = [max(-MOST_LEARNED, min(MOST_LEARNED, one / LEARNED_PART)) for one in learned]
        return trained_score.of(self.draft).plus(*part)

    @property
    def is_harmless(self) -> bool:
        """Whether a word or a price says nothing: its visitor is known, or it reads like good comments.

        No note is weighed.
        """
        return self.is_known_visitor or (not self.draft.note and self.trained.weight < HARMLESS)


Finding = tuple[str, str] | None  # the status that a rule asks for, and its reason
Rule = Callable[[CommentFacts], Finding]


def hidden_field(facts: CommentFacts) -> Finding:
    """People do not see the hidden field."""
    return ("spam", "It filled in the hidden field, which people cannot see.") if facts.trap else None


def quick_link(facts: CommentFacts) -> Finding:
    """Quick alone is not suspicious: browsers fill in forms, and a greeting is short."""
    if facts.age is None or facts.age >= QUICKEST_PERSON or not text_marks.links(facts.draft.texts):
        return None
    return "spam", f"It holds a link and was written in {facts.age:.1f} seconds."


def much_link_markup(facts: CommentFacts) -> Finding:
    """Programs write one link in the markup of several forums, hoping that one of them works."""
    markup = text_marks.link_markup(facts.draft.texts)
    if len(markup) < 2 and sum(markup.values()) < MOST_LINK_MARKUP:
        return None
    return "spam", f"It holds {sum(markup.values())} links in {' and '.join(markup)}, as programs write them."


def repeated_spam(facts: CommentFacts) -> Finding:
    """The owner has judged this text."""
    if facts.repeated is None or facts.repeated.status != "spam":
        return None
    return "spam", "Its text is almost the same as that of a comment which is spam here."


def flood(facts: CommentFacts) -> Finding:
    """In a flood every comment waits."""
    sentence = f"Many comments came at once, so all are held until {facts.flood_ends}."
    return ("held", sentence) if facts.flood_ends else None


def unknown_website(facts: CommentFacts) -> Finding:
    """A browser may hide the website, and so may a program."""
    if not facts.is_website_unknown:
        return None
    return "held", "Its form did not say which website it was on."


def link_markup(facts: CommentFacts) -> Finding:
    """Visitors see that the form takes plain text; few write a link in markup."""
    markup = text_marks.link_markup(facts.draft.texts)
    return ("held", f"It holds a link in {' and '.join(markup)}.") if markup else None


def many_links(facts: CommentFacts) -> Finding:
    """Known visitors may link more than others."""
    links = text_marks.links(facts.draft.texts)
    if links > MOST_LINKS:
        return "held", f"It holds {links} links; more than {MOST_LINKS} wait for your approval."
    if facts.is_known_visitor is False and links > MOST_FIRST_LINKS:
        return "held", f"It holds {links} links and is the first comment of its visitor."
    return None


def listed_word(facts: CommentFacts) -> Finding:
    """The owner's own list."""
    sentence = f"It holds *{(facts.listed_word or '')[:SHOWN]}*, which is on your list."
    return ("held", sentence) if facts.listed_word else None


def name_with_link(facts: CommentFacts) -> Finding:
    """People have names, and places too."""
    for what in ("name", "place"):
        if text_marks.NAME_LINK.search(getattr(facts.draft, what) or ""):
            return "held", f"Its {what} is or holds an address."
    return None


def foreign_language(facts: CommentFacts) -> Finding:
    """Spam comes in languages that nobody in a book speaks. A greeting may, too."""
    if not facts.foreign or not facts.has_address or facts.is_harmless:
        return None
    return "held", f"It gives an address and is in {facts.foreign}, unlike the comments in the book."


def mixed_scripts(facts: CommentFacts) -> Finding:
    """Letters of another script that look the same hide a word from filters."""
    word = text_marks.mixed_word(facts.draft.all_words)
    return ("held", f"It hides a word behind letters that only look alike: *{word}*.") if word else None


def repeated_text(facts: CommentFacts) -> Finding:
    """The same text under another name is an advertisement, under the same one a mistake."""
    if facts.repeated is None:
        return None
    # Not the other name: it must not stay here when the other comment is deleted for good.
    whose = "the same" if facts.repeated.same_name else "another"
    return "held", f"Almost the same text came before, under {whose} name."


def contact(facts: CommentFacts) -> Finding:
    """A number to call does not belong in public, and is what fake support and scams give."""
    shown = f"{facts.draft.message}\n{facts.draft.place or ''}"  # A note may give one to the owner.
    if facts.is_known_visitor or not (kind := text_marks.contact(shown)):
        return None
    return "held", f"It gives {kind}."


def advertising(facts: CommentFacts) -> Finding:
    """Words of what spam sells: several, or one together with an address."""
    sold = text_marks.sold(_spoken(replace(facts.draft, website=None).all_words))
    sold += [IN_ADDRESS + word for word in text_marks.sold(facts.hosts) if word not in sold]
    fewest = 1 if facts.has_address else FEWEST_WORDS
    if len(sold) < fewest or facts.is_harmless:
        return None
    return "held", f"It holds {_listed(sold)}, which advertising uses."


def price_and_address(facts: CommentFacts) -> Finding:
    """Whoever names a price and an address sells something."""
    if facts.is_harmless or not facts.has_address or not text_marks.MONEY.search(_spoken(facts.draft.texts)):
        return None
    return "held", "It names a price or a percentage, and an address."


def empty_praise(facts: CommentFacts) -> Finding:
    """Praise that fits any page, with a website, is the most common spam in guestbooks."""
    praise = text_marks.praise(_spoken(facts.draft.texts))
    if facts.is_harmless or not facts.has_address or len(praise) < FEWEST_WORDS:
        return None
    return "held", f"It praises in words that fit any page ({_listed(praise)}) and gives an address."


def trained_words(facts: CommentFacts) -> Finding:
    """Spam looks alike in all guestbooks, so the surest needs no decision of the owner.

    Common words alone never decide: what else there is must speak for spam too.
    """
    score = facts.trained
    if facts.is_known_visitor or score.weight < SUSPICIOUS or score.telling < SAYS_NOTHING:
        return None
    words = ", ".join(map(_shown, score.evidence))
    is_certain = score.weight >= CERTAIN and score.telling >= SUSPICIOUS
    return ("spam" if is_certain else "held"), f"{READS_LIKE_SPAM}{f': {words}' if words else ''}."


def learned_words(facts: CommentFacts) -> Finding:
    """What the owner has decided before. Harmless texts need more of it; common words alone never decide."""
    harmless = max(-MOST_TRAINED, min(0.0, trained_score.of(facts.draft).weight))
    score = facts.score
    if score is None or score.weight + harmless < SUSPICIOUS_SUM or score.telling + harmless < TELLING_SUM:
        return None
    words = ", ".join(f"{_shown(word)} was spam {_times(count)} here" for word, count in score.evidence)
    return "held", f"It resembles comments that you marked as spam: {words}."


PROGRAM_RULES: tuple[Rule, ...] = (hidden_field, quick_link, much_link_markup, flood, unknown_website)
SUSPICION_RULES: tuple[Rule, ...] = (
    repeated_spam,
    listed_word,
    many_links,
    link_markup,
    name_with_link,
    repeated_text,
    foreign_language,
    mixed_scripts,
    contact,
    advertising,
    price_and_address,
    empty_praise,
    trained_words,
    learned_words,
)


def _spoken(text: str) -> str:
    """Return a text casefolded, and without its addresses: their words are no words of the text."""
    return URL.sub(" ", text.casefold())


def _listed(words: list[str]) -> str:
    return " and ".join(map(_shown, words[:3]))


def _shown(word: str) -> str:
    plain = word.removeprefix(IN_ADDRESS)
    return f"*{plain[:SHOWN]}*{' in an address' if plain != word else ''}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


SEVERITY = ("published", "held", "spam")
READS_LIKE_SPAM = "It reads like the spam that guestbooks get"
HOLD_ALL = "You look at every comment before it appears."
NOTHING_FOUND = "No rule found anything suspicious."
KNOWN_VISITOR = "Its visitor has signed the book before, and you left that comment in it."


@dataclass(frozen=True, slots=True)
class Classification:
    """The status of a comment and the reasons for it, the most important one first."""

    status: str  # published | held | spam
    reasons: tuple[str, ...] = ()

    @property
    def reason(self) -> str | None:
        """Return why it is not published."""
        return self.reasons[0] if self.reasons and self.status != "published" else None

    @property
    def text(self) -> str | None:
        """Return all reasons as they are stored, one a line."""
        return "\n".join(self.reasons) or None


def classify(facts: CommentFacts, moderation: str = "suspicious") -> Classification:
    """Classify a comment by all rules; the most severe finding decides.

    `moderation` says which comments wait for the owner: none (`off`), `suspicious` or `all`. Comments of
    programs are always spam.
    """
    rules = PROGRAM_RULES if moderation == "off" else PROGRAM_RULES + SUSPICION_RULES
    found: list[tuple[str, str]] = [finding for rule in rules if (finding := rule(facts))]
    if moderation == "all":
        found.append(("held", HOLD_ALL))
    if not found:
        known = (KNOWN_VISITOR,) if facts.is_known_visitor else ()
        return Classification("published", (*known, NOTHING_FOUND))
    found.sort(key=lambda finding: -SEVERITY.index(finding[0]))
    reasons = tuple(shortened(sentence, REASON_LIMIT) for _, sentence in found)
    return Classification(found[0][0], reasons)


FEWEST_ALIKE = 3  # comments that are worth a button


def largest_alike(comments: Iterable[Comment]) -> list[Comment]:
    """Return the comments of the largest group that lead to one host, say the same or read like spam."""
    groups = defaultdict[object, list[Comment]](list)
    for comment in comments:
        keys: set[object] = set(HOST.findall(f"{comment.website or ''} {comment.message}".casefold()))
        keys |= set(enumerate(text_marks.marks_of(comment.message) or ()))
        keys |= {READS_LIKE_SPAM for reason in comment.all_reasons if reason.startswith(READS_LIKE_SPAM)}
        for key in keys:
            groups[key].append(comment)
    largest = max(groups.values(), key=len, default=[])
    return largest if len(largest) >= FEWEST_ALIKE else []


COMPARED_COMMENTS = 60  # The newest ones say which writing systems and languages a book uses.
COMPARED_LETTERS = 80  # letters of each
FEWEST_COMMENTS = 20  # In a younger book any language may be the first.
FEWEST_FOREIGN_WORDS = 5  # different words; fewer may share none by chance
FIRST_LOOK = 3  # Nearly always these use the writing systems and a word of a new comment.
STATUS_OF = "SELECT status FROM comments WHERE id = :comment_id"
NEWEST_TEXTS = (
    f"SELECT substr(message, 1, {COMPARED_LETTERS}) FROM comments WHERE status = 'published'"
    " ORDER BY id DESC LIMIT :most"
)


def gather(
    select: Select, sent: CommentFacts, book: Preferences, secret_key: str, own_id: str | None = None
) -> CommentFacts:
    """Ask the database for the facts that the form does not say. A comment that is changed has an id."""
    if book.moderation == "off":  # No rule needs the other facts then.
        return replace(sent, is_known_visitor=None)
    draft, text = sent.draft, sent.draft.all_words.casefold()
    lines = filter(None, map(str.strip, book.words.casefold().splitlines()))
    return replace(
        sent,
        listed_word=next((line for line in lines if text_marks.beginning_of(line).search(text)), None),
        foreign=_foreign(select, draft.message),
        repeated=text_marks.find_repeated(select, draft.name, draft.message, own_id),
        score=learned_score(select, secret_key, draft) if book.score else None,
    )


def is_known_visitor(select: Select, earlier_id: str | None) -> bool:
    """Whether the earlier comment of a browser stands in the book."""
    if earlier_id is None or not ids.ID.fullmatch(earlier_id):
        return False
    return list(select(STATUS_OF, comment_id=earlier_id)) == [("published",)]


def _foreign(select: Select, message: str) -> str | None:
    """Return a text's writing system, or "another language", if none of the newest comments has it."""
    foreign, newest = text_marks.scripts(message), []
    words = {word for word in text_marks.ONE_WORD.findall(message.casefold()) if len(word) > 1}
    shares_none = len(words) >= FEWEST_FOREIGN_WORDS and not text_marks.SPACELESS.search(message)
    for most in (FIRST_LOOK, COMPARED_COMMENTS):
        newest = [text for (text,) in select(NEWEST_TEXTS, most=most)] if foreign or shares_none else []
        foreign -= text_marks.used_scripts(newest)
        shares_none &= words.isdisjoint(text_marks.ONE_WORD.findall(" ".join(newest).casefold()))
    if len(newest) < FEWEST_COMMENTS:
        return None
    return min(foreign, default="another language" if shares_none else None)
