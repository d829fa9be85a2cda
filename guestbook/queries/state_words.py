"""The word that people read for a state; JSON and metrics keep the word of the program."""

FOR_PEOPLE = {"well": "healthy"}


def for_people(word: str) -> str:
    """Return the word that pages and terminals show."""
    return FOR_PEOPLE.get(word, word)
