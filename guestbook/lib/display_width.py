"""How wide a text is in a terminal: 漢 takes two columns, an accent none, a family of emoji two."""

MOST_IN_A_COLUMN = 8  # characters: a letter with four marks has five, a family of emoji seven in two columns


def of(text: str) -> int:
    """Return the columns that a text without controls takes."""
    if text.isascii():
        return len(text)
    import wcwidth  # here: most of what is printed is ASCII

    return max(0, wcwidth.wcswidth(text))


def fill(text: str, columns: int) -> str:
    """Return the text with blanks behind it, so that it is so wide."""
    return text + " " * (columns - of(text))


def cut(text: str, columns: int) -> str:
    """Return the text, cut with an ellipsis where it is wider than that."""
    if of(text) <= columns:
        return text
    if text.isascii():
        return text[: columns - 1] + "…"
    text = text[: columns * MOST_IN_A_COLUMN]  # a long text is not measured again and again
    while of(text) > columns - 1:
        text = text[:-1]
    return text + "…"
