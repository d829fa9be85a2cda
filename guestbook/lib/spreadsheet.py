"""Cells of CSV that no spreadsheet runs as a formula."""

import re

# A spreadsheet runs a cell that begins so: https://owasp.org/www-community/attacks/CSV_Injection. So an
# apostrophe goes before it, also where some are there already: then `plain` can undo it.
FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]")  # some take the wide ones too


def inert(text: str) -> str:
    """Return a cell that is text and no formula."""
    return f"'{text}" if FORMULA.match(text) else text


def plain(cell: str) -> str:
    """Return the text that `inert` was given."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
