"""The texts of the pages and their translations, which `python -m dashboards.catalogue` updates.

Texts stand in English in the templates and modules. Their French is in `translations/fr`, in GNU
gettext's format: the `.po` file is for people, the `.mo` file is made of it and is what runs.
"""

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

_HERE: Final = Path(__file__).parent
_METHODS: Final = [("**.py", "python"), ("templates/**", "jinja2")]
_OPTIONS: Final = {"templates/**": {"trimmed": "true", "silent": "false"}}
_KEYWORDS: Final = {
    "_": None,
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
}

_HEADER: Final = """msgid ""
msgstr ""
"Project-Id-Version: gardien\\n"
"Language: {}\\n"
"Plural-Forms: nplurals=2; plural=(n > 1);\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
_NO_DATE: Final = datetime(2026, 1, 1, tzinfo=UTC)

LANGUAGES: Final = ("fr",)
"""The languages that the texts are translated into; English is how they stand."""


def extract() -> Catalog:
    """Gather the texts from the templates and modules. Reads files only."""
    found = Catalog(project="gardien", charset="utf-8")
    for name, _, message, comments, context in extract_from_dir(
        str(_HERE), _METHODS, _OPTIONS, keywords=_KEYWORDS, strip_comment_tags=True
    ):
        # Without line numbers: they would change the file with each line of code.
        found.add(message, None, [(name, 0)], auto_comments=comments, context=context)
    return found


def po_file(language: str) -> Path:
    """Where the translations into a language are."""
    return _HERE / "translations" / language / "LC_MESSAGES" / "messages.po"


def mo_file(language: str) -> Path:
    """Where the same is in the form that runs."""
    return po_file(language).with_suffix(".mo")


def read(language: str) -> Catalog:
    """Read the translations into a language.

    Raises:
        OSError: the file can't be read.
    """
    with po_file(language).open("rb") as file:
        return read_po(file, locale=language)


def compiled(catalogue: Catalog) -> bytes:
    """Give a catalogue in the form that runs."""
    # The same texts give the same file, whenever it is made.
    catalogue.creation_date = catalogue.revision_date = _NO_DATE
    out = io.BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def missing(language: str) -> list[str]:
    """Name the texts that have no translation, or one that may be out of date."""
    known = read(language)
    wanted = (message for message in extract() if message.id)
    return [
        str(text.id)
        for text in wanted
        if (found := known.get(text.id, text.context)) is None or not _is_whole(found.string)
    ]


def update(language: str) -> None:
    """Bring the files of a language up to date; texts without a translation are left empty."""
    known = read(language)
    known.update(extract(), no_fuzzy_matching=True)
    known.obsolete.clear()
    out = io.BytesIO()
    write_po(out, known, width=100, sort_output=True, omit_header=True, no_location=True)
    po_file(language).write_bytes(_HEADER.format(language).encode() + out.getvalue().lstrip())
    mo_file(language).write_bytes(compiled(read(language)))


def _is_whole(string: str | tuple[str, ...] | list[str] | None) -> bool:
    return bool(string) if isinstance(string, str | None) else all(string)


def main() -> int:
    """Bring all files up to date; the status is 1 when translations are missing."""
    status = 0
    for language in LANGUAGES:
        update(language)
        for text in missing(language):
            sys.stderr.write(f"{language}: no translation of {text!r}\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
