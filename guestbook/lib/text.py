"""The text of strangers: cleaned, measured in characters as people see them and in columns of a terminal,
and made safe for a cell of a spreadsheet. Pure.

Pages escape when they show; the stored text is never escaped.
"""

import re
import unicodedata
from collections.abc import Sequence

FIRST_MARK = "\u0300"  # the lowest mark of Unicode
MARKS_IN_A_ROW = 4  # Hebrew with points and accents needs four; towers of marks (zalgo) have more
BLANK_LINES = 2
TAB = "    "
# What drawings are made of: signs of ASCII, lines, blocks and shapes, dots of Braille.
DRAWING_SIGN = re.compile("[!-/:-@[-`{-~¦¯°´¸·\u2500-\u25ff\u2801-\u28ff]")
GAP_IN_LINE = re.compile(r"\S {3,}\S")  # as in a table made with spaces
SIGNS_IN_DRAWING = 0.4  # a part of a line's visible characters, without a link and the stops at its end
LINES_OF_DRAWING = 3  # at least so many lines are not blank, and half of them look drawn

NONCHARACTERS = "".join(chr(plane << 16 | last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
LINE_ENDS = re.compile("\r\n|[\r\x85\u2028\u2029]")
UNWANTED = re.compile(
    "["
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls but tab and line feed: PostgreSQL refuses NUL, XML the others
    "\xad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb\u3164\uffa0"  # invisible, so two names could look alike
    "\u202a-\u202e\u2066-\u2069\u206a-\u206f"  # change the direction of the following text
    "\ud800-\udfff"  # half a character, which no database takes
    "\ufdd0-\ufdef" + NONCHARACTERS + "]"
)
# Zero-width joiner and non-joiner stay: emoji and Persian need them. One is enough, and none at an edge.
MORE_JOINERS = re.compile("(?<=[\u200c\u200d])[\u200c\u200d]+|^(?:\\s*[\u200c\u200d])+")
EDGE = "\u200c\u200d" + "".join(filter(str.isspace, map(chr, range(0x3001))))
# Tags spell the flags of Scotland and Wales. Elsewhere they are invisible text.
EMOJI_TAGS = re.compile("(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0001-\U000e007f]+")
EMPTY_LOOKING = frozenset("\u115f\u1160\u2800")  # Hangul fillers and the empty Braille cell
UNSEEN_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Me", "Mn", "Zl", "Zp", "Zs"))


def clean_text(text: str) -> str:
    """Return a message in NFC with LF line ends; "" if nothing is visible.

    Lines keep their leading spaces and lose those at their ends. There are no blank lines around the message.
    """
    if text.isascii() and text.isprintable():
        return text.rstrip()  # Most lines hold nothing else to clean.
    text = LINE_ENDS.sub("\n", text).replace("\t", TAB)
    text = EMOJI_TAGS.sub("", UNWANTED.sub("", text))
    # Thin out before, because normalizing sorts many marks slowly, and after, because it splits some.
    text = _thin_marks(unicodedata.normalize("NFC", _thin_marks(text)))
    text = "\n".join(MORE_JOINERS.sub("", line.rstrip(EDGE)) for line in text.split("\n"))
    text = re.sub(rf"\n{{{BLANK_LINES + 2},}}", "\n" * (BLANK_LINES + 1), text).strip("\n")
    shown = (one for one in text if unicodedata.category(one) not in UNSEEN_CATEGORIES)
    return text if any(one not in EMPTY_LOOKING for one in shown) else ""


def clean_line(text: str) -> str:
    """Return a single line, such as a name: as `clean_text`, with one space between words."""
    return clean_text(" ".join(clean_text(text).split()))


def is_drawn(text: str) -> bool:
    """Whether a text is a drawing or a table, which needs letters of one width and whole lines."""
    lines = [line for line in text.split("\n") if line]
    return len(lines) >= LINES_OF_DRAWING and sum(map(_looks_drawn, lines)) * 2 >= len(lines)


def _looks_drawn(line: str) -> bool:
    if GAP_IN_LINE.search(line):
        return True
    shown = "".join(line.split()).rstrip(".,!?")
    return "://" not in shown and len(DRAWING_SIGN.findall(shown)) > SIGNS_IN_DRAWING * len(shown)


def _thin_marks(text: str) -> str:
    """Drop the marks of a character after the fourth; joiners between them do not count."""
    if max(text, default="") < FIRST_MARK:  # Most comments have no mark, and the loop takes long.
        return text
    kept = []
    row = 0
    for character in text:
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):
            row += 1
        elif category != "Cf":
            row = 0
        if row <= MARKS_IN_A_ROW or category == "Cf":
            kept.append(character)
    return "".join(kept)


def shortened(text: str, limit: int) -> str:
    """Return the text, cut to so many characters with an ellipsis at its end where it is longer."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def printable(text: str) -> str:
    """Return a stranger's text with a blank for whatever a terminal would obey."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else " " for letter in text)


def counted(number: int, one: str, many: str = "") -> str:
    """Return the number with its noun: `1 delivery`, `2,000 comments`; `many` is for nouns without s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


CODE_POINTS = 16  # at most in one character: a family of four with skin tones has eleven


def one_character_a_word(value: str, most: int) -> str:
    """Return the characters with a blank between them; raises ValueError with a sentence for a person."""
    words = clean_line(value).split()
    if len(words) > most:
        raise ValueError(f"These are {len(words):,} characters. Please use at most {most}.")
    for word in words:
        if not is_one_character(word):
            shown = shortened(word, CODE_POINTS)
            raise ValueError(f"“{shown}” is not one character. Please put a blank between two characters.")
    return " ".join(words)


def is_one_character(word: str) -> bool:
    """Whether it is one visible character, by UAX 29."""
    import wcwidth  # Few requests need it.

    if not 0 < len(word) <= CODE_POINTS or clean_line(word) != word:
        return False
    base = unicodedata.category(word[0])
    is_seen = base == "Cn" or base[0] not in "CMZ"  # An older Python does not know new emoji.
    return is_seen and len(list(wcwidth.iter_graphemes(word))) == 1


def display_width(text: str) -> int:
    """Return the columns that a text without controls takes."""
    if text.isascii():
        return len(text)
    import wcwidth  # It is imported here, because most of what is printed is ASCII.

    return max(0, wcwidth.wcswidth(text))


def fill_to_width(text: str, columns: int) -> str:
    """Return the text with blanks behind it, so that it is so wide."""
    return text + " " * (columns - display_width(text))


def cut_to_width(text: str, columns: int) -> str:
    """Return the text, cut with an ellipsis where it is wider than that."""
    if display_width(text) <= columns:
        return text
    import wcwidth

    return wcwidth.clip(text, 0, columns - 1).rstrip() + "…"


LEFT_OF_BEGINNING = 4  # columns


def cut_in_middle(texts: Sequence[str], columns: int) -> list[str]:
    """Return the texts, with an ellipsis inside those that are wider than that.

    The beginning that they share goes first, so that one can tell them apart.
    """
    import wcwidth

    wide = [one for one in texts if display_width(one) > columns]
    shared = _alike(min(wide), max(wide)) if len(wide) > 1 else 0
    rest, room = max(map(display_width, wide), default=0) - shared, columns - 1
    end = room // 2
    if shared >= room - end:
        end = max(end, min(rest, room - LEFT_OF_BEGINNING))
    cut = []
    for one in texts:
        width = display_width(one)
        parts = wcwidth.clip(one, 0, room - end), wcwidth.clip(one, width - end, width)
        cut.append(one if width <= columns else f"{parts[0].rstrip()}…{parts[1].lstrip()}")
    return cut


def _alike(one: str, other: str) -> int:
    """Return how many letters the two begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (mine, yours) in pairs if mine != yours), min(len(one), len(other)))


# A spreadsheet runs a cell that begins so: https://owasp.org/www-community/attacks/CSV_Injection. So an
# apostrophe goes before it, also where some are there already: then `plain_cell` can undo it.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # Some take the wide ones too.


def inert_cell(text: str) -> str:
    """Return a cell that is text and no formula."""
    return f"'{text}" if FORMULA.match(text) else text


def plain_cell(cell: str) -> str:
    """Return the text that `inert_cell` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def for_people(word: str) -> str:
    """Return the word that pages and terminals show for a state; JSON and metrics keep the program's word."""
    return "healthy" if word == "well" else word
