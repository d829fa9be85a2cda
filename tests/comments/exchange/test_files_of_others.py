"""Comments of Isso, of WordPress and of spreadsheets, and what is wrong with them."""

import io
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from guestbook.comments.exchange import file_formats, isso_and_cusdis, other_programs, wordpress_and_disqus
from guestbook.comments.exchange.comment_import import CheckedComment, check_row
from guestbook.comments.exchange.file_formats import LINE_LIMIT, FileRow
from guestbook.comments.exchange.other_programs import ImportOptions
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from tests.support import comment_files

LINE = {"name": "Ada", "message": "Hello", "created_at": "2020-01-31 12:00"}


def checked(row: FileRow) -> CheckedComment:
    return check_row(row, clock.now())


def rows_of(path: Path, page: str | None = None, *owners: str) -> list[FileRow]:
    options = ImportOptions(page=page, owners=frozenset(owners))
    with other_programs.opened(path, io.BufferedReader(io.BytesIO()), options) as file:
        return list(file.rows)


def test_isso(tmp_path: Path) -> None:
    path = comment_files.isso(
        tmp_path / "comments.db",
        [
            (1, 1, 1580515140.1239, 1, "R&amp;D", "http://ada.example", "*Hello* <b>\n\nagain"),
            (1, 2, 1580515140.1239, 2, None, None, "Held"),
            (2, 3, 1580515141, 1, "Bob", None, "On the blog"),
            (1, 4, 1580515142, 4, None, None, ""),
        ],
    )
    first, second, third = (checked(row) for row in rows_of(path))
    assert (first.draft.name, first.draft.website) == ("R&D", "http://ada.example")
    assert first.draft.message == "*Hello* <b>\n\nagain"
    assert clock.to_text(first.columns["created_at"]) == "2020-01-31T23:59:00.123Z"
    assert [first.columns["status"], second.columns["status"]] == ["published", "held"]
    assert second.draft.name == "Anonymous"
    assert first.id < second.id < third.id, "also within one millisecond"
    of_page = rows_of(path, "https://me.example/guestbook")
    assert [row.where for row in of_page] == ["Comment 1", "Comment 2"]
    again = rows_of(path)
    assert "secret" not in repr([row.fields for row in again])
    assert [checked(row).id for row in again] == [first.id, second.id, third.id]


def test_what_is_not_a_database_of_isso_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"")
    with pytest.raises(Refused, match=r"x\.db is not a database of Isso: no such table"):
        isso_and_cusdis.count_rows(tmp_path / "x.db", "isso")
    path = comment_files.isso(tmp_path / "comments.db", [])
    with closing(sqlite3.connect(path)) as connection, connection:
        columns = "1 AS tid, n AS id, 1 AS created, 1 AS mode, 0 AS parent, '' AS email"
        connection.executescript(
            "DROP TABLE comments; CREATE VIEW comments AS WITH RECURSIVE count(n) AS "
            f"(SELECT 1 UNION ALL SELECT n + 1 FROM count) SELECT {columns}, '' AS author, '' AS website,"
            " 'x' AS text FROM count"
        )
    with pytest.raises(Refused, match="comments is not a table"):
        isso_and_cusdis.count_rows(path, "isso")


def test_an_owners_answer_in_isso_is_the_reply_and_others_name_whom_they_answer(tmp_path: Path) -> None:
    authors = ["Ada", "Me", "Bob", "Me", "Cleo"]
    path = comment_files.isso(
        tmp_path / "comments.db",
        [(1, n, 1580515140 + n, 1, name, None, f"Text {n}") for n, name in enumerate(authors, 1)],
        {2: 1, 3: 1, 4: 1, 5: 99},
    )
    texts = [row.fields["message"] for row in rows_of(path)]
    assert texts == ["Text 1", "@Ada:\nText 2", "@Ada:\nText 3", "@Ada:\nText 4", "Text 5"]
    first, bob, cleo = map(checked, rows_of(path, None, "me"))
    assert first.reply["message"] == "Text 2\n\nText 4"
    assert clock.to_text(first.reply["created_at"])[:19] == "2020-01-31T23:59:02"
    assert (bob.draft.message, bob.reply) == ("@Ada:\nText 3", None)
    assert cleo.draft.message == "Text 5"


def test_wordpress(tmp_path: Path) -> None:
    content = "Tom &amp; <em>Ada</em>:<br />see <a href='https://a.example/'>this</a>\n\n1 &lt; 2"
    path = comment_files.wordpress(
        tmp_path / "export.xml",
        guestbook=[
            {"content": content, "url": "https://ada.example/?a=1&amp;b=2"},
            {"approved": "0", "author": ""},
            {"approved": "spam", "gmt": "0000-00-00 00:00:00"},
            {"approved": "trash"},
            {"type": "pingback"},
        ],
        blog=[{"author": "Bob"}],
    )
    rows = rows_of(path)
    first, *others = map(checked, rows)
    assert first.draft.message == "Tom & Ada:\nsee this (https://a.example/)\n\n1 < 2"
    assert first.draft.website == "https://ada.example/?a=1&b=2"
    assert clock.to_text(first.columns["created_at"]) == "2020-05-01T12:00:00.000Z"
    assert clock.to_text(others[1].columns["created_at"]) == "2020-05-01T14:00:00.000Z"
    assert [one.columns["status"] for one in others] == ["held", "spam", "trash", "published"]
    assert others[0].draft.name == "Anonymous"
    assert path.read_text().splitlines()[int(rows[0].where.split()[1]) - 1] == "<wp:comment>"
    assert [row.fields["name"] for row in rows_of(path, "/blog")] == ["Bob"]
    assert "secret" not in repr([row.fields for row in rows])


def test_an_owners_answer_in_wordpress_is_the_reply_and_others_name_whom_they_answer(tmp_path: Path) -> None:
    path = comment_files.wordpress(
        tmp_path / "export.xml",
        page=[
            {"author": "Ada"},
            {"author": "Me", "user": "1", "parent": "1", "content": "Thanks"},
            {"author": "Ada", "user": "7", "parent": "2", "content": "Why?"},
            {"author": "Me", "user": "1", "parent": "3", "content": "Because", "approved": "trash"},
            {"author": "Me", "user": "1", "parent": "2", "content": "x" * 4000},
            {"author": "Me", "user": "1", "parent": "2", "content": "Bye"},
            {"author": "Me", "user": "1", "parent": "7", "content": "Its own parent"},
        ],
        other=[{"id": "2", "author": "Me", "user": "1", "parent": "1"}],
    )
    rows = [checked(row) for row in rows_of(path)]
    assert [(row.draft.message, row.reply and row.reply["message"]) for row in rows] == [
        ("Hello", "Thanks\n\nBye"),
        ("@Me:\nWhy?", None),
        ("@Ada:\nBecause", None),
        ("x" * 4000, None),
        ("Its own parent", None),
        ("Hello", None),
    ]
    assert [row.columns["status"] for row in rows[:3]] == ["published", "published", "trash"]
    path.write_text(re.sub("<wp:author_id>.*?</wp:author_id>", "", path.read_text()))
    assert not any("reply" in row.fields for row in rows_of(path))  # any user may have the number 1


def test_a_number_of_thousands_of_digits_costs_one_character(tmp_path: Path) -> None:
    long = f"1 &#{'9' * 5000}; 2 &#{'0' * 5000}65; 3"
    export = comment_files.wordpress(tmp_path / "export.xml", page=[{"content": long}, {}])
    assert [checked(row).draft.message for row in rows_of(export)] == ["1 \ufffd 2 A 3", "Hello"]
    database = comment_files.isso(tmp_path / "comments.db", [(1, 1, 1580515140, 1, long, None, "Hello")])
    assert [checked(row).draft.name for row in rows_of(database)] == ["1 \ufffd 2 A 3"]
    lines = io.BytesIO(b'{"other": %s, "name": "Ada"}\n' % (b"9" * 5000))
    assert [row.fields["name"] for row in file_formats.read_json_lines(lines)] == ["Ada"]


ENCODING = '<?xml version="1.0" encoding="{}"?><rss/>'
NOT_OF_TEXTS = ("zlib", "hex", "undefined", "utf-7", "idna", "nothing")


@pytest.mark.parametrize(("text", "said"), [
    ('<!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><rss>&b;</rss>', "has a DOCTYPE"),
    ('<!DOCTYPE rss SYSTEM "file:///etc/passwd"><rss/>', "has a DOCTYPE"),
    ("<rss>\n<channel></rss>", "Line 2 is not XML: mismatched tag"),
    ("<rss>\x00", "Line 1 is not XML"),
    *((ENCODING.format(one), "encoding that cannot be read|is not XML") for one in NOT_OF_TEXTS),
])  # fmt: skip
def test_bad_xml_is_refused(text: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        list(wordpress_and_disqus.read_elements(io.BytesIO(text.encode())))


def test_a_comment_of_wordpress_as_long_as_the_memory_is_refused(tmp_path: Path) -> None:
    path = comment_files.wordpress(tmp_path / "export.xml", page=[{"content": "x" * 3 * LINE_LIMIT}, {}])
    long, short = rows_of(path)
    assert len(long.fields["message"]) < 2 * LINE_LIMIT
    with pytest.raises(Refused, match=r"its message has .* characters, and 4,000 are allowed"):
        checked(long)
    assert checked(short)


def read_csv(text: str | bytes, time_format: str | None = None, **columns: str) -> list[FileRow]:
    data = text if isinstance(text, bytes) else text.encode()
    return list(file_formats.read_csv(io.BytesIO(data), columns, time_format))


def test_a_spreadsheet_with_a_map() -> None:
    named = {"name": "Author", "message": "Text", "created_at": "Date"}
    rows = read_csv(comment_files.SPREADSHEET, "%d.%m.%Y %H:%M", **named)
    assert [row.where for row in rows] == ["Line 2", "Line 3"]
    assert [checked(row).draft.message for row in rows] == ["Hello, world", "Two\nlines"]
    assert clock.to_text(checked(rows[0]).columns["created_at"]) == "2020-01-31T23:59:00.000Z"
    [wrong, _] = read_csv(comment_files.SPREADSHEET, "%Y", **named)
    assert wrong.problem == "its created_at is not written as %Y"


def test_an_apostrophe_in_the_csv_of_others_stays() -> None:
    [row] = read_csv("name,message,created_at\nAda,'=1,2020-01-31\n")
    assert checked(row).draft.message == "'=1"


@pytest.mark.parametrize(("line", "problem"), [
    (b"Ada,Gr\xfc\xdfe,2020-01-31", "it is not UTF-8; save the file as CSV UTF-8"),
    (b"Ada,Hello, world,2020-01-31", "it has 4 cells for 3 headings; is a quote missing?"),
])  # fmt: skip
def test_a_bad_row_of_a_csv_file_is_named_and_the_next_is_read(line: bytes, problem: str) -> None:
    bad, good = read_csv(b"name,message,created_at\r\n\r\n" + line + b"\r\nAda,Hello,2020-01-31\r\n")
    assert (bad.where, bad.problem) == ("Line 3", problem)
    assert (good.where, checked(good).draft.message) == ("Line 4", "Hello")


LATIN = "name,message,created_at,Größe\nAda,Hello,2020-01-31,x\n"


@pytest.mark.parametrize(("text", "name", "said"), [
    (comment_files.SPREADSHEET, "Nom", r"no column Nom\. Its columns are Author, Text, Date"),
    (comment_files.SPREADSHEET, "Author", "--map message=COLUMN --map created_at=COLUMN"),
    ('name,message,created_at\nAda,"Hello,2020-01-31\n', "name", "Line 2 is not CSV: unexpected end"),
    ("name,message,created_at\rAda,Hello,2024-01-01\r", "name", "Line 1 is not CSV: .* as CSV UTF-8"),
    (LATIN.encode("latin-1"), "name", r"with the headings, is not UTF-8\. Save the file again"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_as_csv_is_refused(text: str | bytes, name: str, said: str) -> None:
    with pytest.raises(Refused, match=said):
        read_csv(text, name=name)
    [row] = read_csv(LATIN)
    assert checked(row).draft.message == "Hello"


@pytest.mark.parametrize(("line", "problem"), [
    (b'{"name": "\xff"}', "it is not UTF-8"),
    (b"{", "it is not JSON"),
    (b"[" * 100_000, "it is not JSON"),
    (b"[]", "it is not a JSON object"),
    (b'{"name": 1}', "its name is not text"),
    (b'{"reply": "x"}', "its reply is not an object"),
    (b'{"origin": {"url": []}}', "its url is not text"),
])  # fmt: skip
def test_a_bad_line_of_json_is_named_and_the_next_is_read(line: bytes, problem: str) -> None:
    bad, good = file_formats.read_json_lines(io.BytesIO(b"\n" + line + b'\n{"name": "Ada", "url": 1}'))
    assert (bad.where, bad.problem) == ("Line 2", problem)
    assert good.fields["name"] == "Ada"


def test_a_line_that_is_too_long_is_named_and_the_next_is_read() -> None:
    long = json.dumps({"name": "x" * 5 * LINE_LIMIT}).encode()
    bad, good = file_formats.read_json_lines(io.BytesIO(long + b'\n{"name": "Ada"}\n'))
    assert (bad.where, bad.problem) == ("Line 1", "it has more than 1,000,000 bytes")
    assert (good.where, good.fields["name"]) == ("Line 2", "Ada")
    row = "Ada,Hello,2020-01-31\n"
    bad, good = read_csv(f"name,message,created_at\nAda,{'x' * (LINE_LIMIT - 99)},2020-01-31\n{row}")
    with pytest.raises(Refused, match="its message has 999,901 characters, and 4,000 are allowed"):
        checked(bad)
    assert checked(good)


@pytest.mark.parametrize(("fields", "said"), [
    ({"name": "\u202e\x00"}, "it has no name"),
    ({"message": " "}, "it has no message"),
    ({"message": "x" * 4001}, "its message has 4,001 characters, and 4,000 are allowed"),
    ({"created_at": ""}, "it has no created_at, the time when it was written"),
    ({"created_at": "now"}, "its created_at 'now' is no time such as 2026-01-31 23:59"),
    ({"created_at": "2999-01-31"}, "its created_at 2999-01-31 lies in the future"),
    ({"status": "draft"}, "its status 'draft' is none of published, held, spam, trash"),
    ({"id": "f" * 32}, f"its id {'f' * 32} lies in the future"),
    ({"reply": "x", "reply_created_at": "x"}, "its reply_created_at 'x' is no time such as 2026-01-31 23:59"),
    ({"origin_name": "x" * 81}, "its origin is not the name of a source and the address of a comment"),
])  # fmt: skip
def test_a_comment_obeys_the_rules_of_the_form(fields: dict[str, str], said: str) -> None:
    with pytest.raises(Refused) as refused:
        checked(FileRow("Line 1", {**LINE, **fields}))
    assert str(refused.value) == said


def test_a_comment_is_cleaned_and_only_loses_a_website_that_cannot_be_a_link() -> None:
    row = FileRow("Line 1", {**LINE, "name": "A\u202eda\x00", "website": "javascript:alert(1)"})
    assert (checked(row).draft.name, checked(row).draft.website) == ("Ada", None)
    assert checked(row).note == "imported without its website, because 'javascript:alert(1)' cannot be a link"


def test_the_same_content_has_the_same_id_and_an_id_of_its_own_counts_more() -> None:
    one, other = FileRow("Line 1", LINE), FileRow("Line 9", {**LINE, "message": "Bye"})
    assert checked(one).id == checked(FileRow("Line 5", LINE)).id != checked(other).id
    named = [FileRow("Line 1", {**LINE, "id": "17", "message": text}) for text in ("a", "b")]
    assert checked(named[0]).id == checked(named[1]).id
