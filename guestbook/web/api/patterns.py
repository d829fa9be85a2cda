"""How the text in a request must look, as regular expressions that JSON Schema and Python both understand.

They stand in the document, so that a program knows before it asks. What they let through, the book's own
rules judge once more; what they refuse has its sentence here.
"""

import re

from guestbook import draft
from guestbook.transport import checks

ID = r"^[0-9a-f]{32}$"

# Anything but blanks, controls, marks that stand on nothing, and characters that nobody sees.
VISIBLE = (
    "[^\x00-\x20\x7f-\xa0\xad\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0600-\u0605\u0610-\u061a\u061c\u064b-\u065f\u0670"
    "\u06d6-\u06dd\u070f\u0711\u0730-\u074a\u115f\u1160\u1680\u180b-\u180f\u1ab0-\u1aff\u1dc0-\u1dff\u2000-\u200f"
    "\u2028-\u202f\u205f-\u206f\u20d0-\u20ff\u2800\u3000\u302a-\u302d\u3099\u309a\u3164\ufdd0-\ufdef\ufe00-\ufe0f"
    "\ufe20-\ufe2f\ufeff\uffa0\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e0fff]"
)

SCHEME = "[Hh][Tt][Tt][Pp][Ss]?://"
PORT = "(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"

# A website's host in the scripts that domains are registered in; the rest has its xn-- form.
LETTER = (
    "[0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u012f\u0131-\u02af\u0388-\u038a\u038e-\u03a1\u03a3-\u03f5\u03f7-\u03ff\u0400-\u0481"
    "\u048a-\u052f\u05d0-\u05ea\u0620-\u063f\u0641-\u064a\u0671-\u06d3\u0904-\u0939\u0e01-\u0e30\u10d0-\u10fa"
    "\u1e00-\u1eff\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u4e00-\u9fff\uac00-\ud7a3]"
)
LABEL = f"{LETTER}+([-_]+{LETTER}+)*"
IN_PATH = '[^\x00-\x20\x7f-\xa0\\s<>"\\\\]'
WEBSITE = rf"^(({SCHEME}{LABEL}(\.{LABEL})*|{LABEL}(\.{LABEL})+){PORT}([/?#]{IN_PATH}*)?)?$"


def _any_case(word: str) -> str:
    return "".join(
        f"[{letter.upper()}{letter}]" if letter.isalpha() else re.escape(letter) for letter in word
    )


HEADER_NAME = (
    rf"^(?!({'|'.join(map(_any_case, sorted(checks.DENIED)))})$)"
    rf"(?!{'|'.join(map(_any_case, checks.DENIED_PREFIXES))})"
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
)
HEADER_VALUE = "^[ -~]*$"


def reason(pattern: str, text: str) -> str:
    """Return the sentence for a text that does not look as the pattern wants it."""
    if pattern == WEBSITE:
        return draft.read({"website": text}).errors.get("website", draft.NOT_AN_ADDRESS)
    return {
        ID: "This is no id: those have 32 characters, 0 to 9 and a to f.",
        VISIBLE: "Please write something that can be seen.",
        HEADER_NAME: f"{text[:80]!r} cannot be the name of a header of yours.",
        HEADER_VALUE: "The value of a header must consist of printable ASCII characters.",
    }[pattern]

