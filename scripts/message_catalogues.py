"""The catalogues in guestbook/translations: one for each language, as text (.po) and compiled (.mo)."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import click
from babel.messages import extract, mofile, pofile
from babel.messages.catalog import Catalog

from guestbook.storage.preferences import BOOK_LANGUAGES
from guestbook.web.look_and_language import ENGLISH

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "guestbook"
TRANSLATED = tuple(code for code in BOOK_LANGUAGES if code != ENGLISH)
KEYWORDS = {"Translatable": None, "plural": (1, 2), "_": None, "gettext": None, "ngettext": (1, 2)}
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2.ext:babel_extract")]
OPTIONS = {
    "templates/**.html": {"trimmed": "true", "trim_blocks": "true", "lstrip_blocks": "true", "silent": "no"}
}
HEADER = (
    "# Translations of the guestbook's public pages. scripts/translations keeps the list of texts complete."
)
WIDTH = 110  # columns


def po_path(language: str) -> Path:
    """Return the file of a language that people edit."""
    return PACKAGE / "translations" / language / "LC_MESSAGES" / "messages.po"


def mo_path(language: str) -> Path:
    """Return the compiled file, which the book reads."""
    return po_path(language).with_suffix(".mo")


def extracted() -> Catalog:
    """Return all texts of templates and code, with the files that have them."""
    found = Catalog()
    for file, _line, text, _comments, context in extract.extract_from_dir(
        PACKAGE, METHODS, OPTIONS, KEYWORDS
    ):
        found.add(text, None, [(f"guestbook/{file}", 1)], context=context)
    return found


def read(language: str) -> Catalog:
    """Return the catalogue of a language; an empty one for a new language."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language, fuzzy=False)
    with path.open("rb") as file:
        return pofile.read_po(file, locale=language)


def updated(language: str) -> Catalog:
    """Return it with the texts that there are now. New ones have no translation, and old ones are gone."""
    catalogue, texts = read(language), extracted()
    texts.creation_date = catalogue.creation_date  # so that it changes only with the texts
    catalogue.update(texts, no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.header_comment = HEADER
    return catalogue


def as_po(catalogue: Catalog) -> bytes:
    """Return the catalogue as text."""
    written = BytesIO()
    pofile.write_po(written, catalogue, width=WIDTH, include_lineno=False)
    return written.getvalue()


def as_mo(catalogue: Catalog) -> bytes:
    """Return it compiled."""
    written = BytesIO()
    mofile.write_mo(written, catalogue)
    return written.getvalue()


def missing(catalogue: Catalog) -> Iterator[str]:
    """Return the texts without a translation, or with one that somebody must look at."""
    for message in catalogue:
        given = message.string if isinstance(message.string, tuple) else (message.string,)
        if message.id and (message.fuzzy or not all(given)):
            yield message.id if isinstance(message.id, str) else message.id[0]


@click.command()
def main() -> None:
    """Write all catalogues, and say which texts have no translation yet."""
    for language in TRANSLATED:
        catalogue = updated(language)
        po_path(language).parent.mkdir(parents=True, exist_ok=True)
        po_path(language).write_bytes(as_po(catalogue))
        mo_path(language).write_bytes(as_mo(catalogue))
        for text in missing(catalogue):
            click.echo(f"{po_path(language).relative_to(ROOT)} has no translation of: {text}")


if __name__ == "__main__":
    main()
