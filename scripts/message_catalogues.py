"""The catalogues in guestbook/translations: one for each language, as text (.po) and compiled (.mo)."""

from pathlib import Path

import click
from babel.messages import extract, mofile, pofile
from babel.messages.catalog import Catalog

from guestbook.storage.preferences import BOOK_LANGUAGES
from guestbook.web.look_language_time_zone import ENGLISH

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


def extracted() -> Catalog:
    """Return all texts of templates and code, with the files that have them."""
    found = Catalog()
    for file, _, text, _, context in extract.extract_from_dir(PACKAGE, METHODS, OPTIONS, KEYWORDS):
        found.add(text, None, [(f"guestbook/{file}", 1)], context=context)
    return found


def read(language: str) -> Catalog:
    """Return the catalogue of a language; an empty one for a new language."""
    path = po_path(language)
    if not path.exists():
        return Catalog(locale=language, fuzzy=False)
    with path.open("rb") as file:
        return pofile.read_po(file, locale=language)


@click.command()
def main() -> None:
    """Write all catalogues, and say which texts have no translation yet."""
    for language in TRANSLATED:
        path, catalogue, texts = po_path(language), read(language), extracted()
        texts.creation_date = catalogue.creation_date  # so that it changes only with the texts
        catalogue.update(texts, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        catalogue.header_comment = HEADER
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as text, path.with_suffix(".mo").open("wb") as compiled:
            pofile.write_po(text, catalogue, width=WIDTH, include_lineno=False)
            mofile.write_mo(compiled, catalogue)
        for message in catalogue:
            given = message.string if isinstance(message.string, tuple) else (message.string,)
            if message.id and (message.fuzzy or not all(given)):
                click.echo(f"{path.relative_to(ROOT)} has no translation of: {message.id}")


if __name__ == "__main__":
    main()
