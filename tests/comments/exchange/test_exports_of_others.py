"""Exports of Cusdis, Disqus, Commento, Comentario, Remark42: all comments stay, hostile files are named."""

import gzip
import io
import json
from collections import Counter
from pathlib import Path

import pytest

from guestbook.comments.exchange import comentario_and_remark42, comment_import, other_programs
from guestbook.comments.exchange.comment_import import ImportReport, ImportRules, check_row
from guestbook.comments.exchange.file_formats import LINE_LIMIT, FileRow
from guestbook.comments.exchange.other_programs import ImportOptions
from guestbook.lib import clock
from guestbook.lib.errors import Refused
from tests.support import comment_files, factories

# How many comments each has on its two pages, beside the owner's answer and a deleted one without words.
COUNTS = {
    "cusdis.sqlite": {"published": 3, "held": 1, "trash": 1},
    "cusdis.sql": {"published": 3, "held": 1, "trash": 1},
    "disqus.xml": {"published": 4, "held": 1, "spam": 1, "trash": 1},
    "commento.json": {"published": 3, "held": 1, "spam": 1},
    "comentario.json": {"published": 3, "held": 1, "trash": 1},
    "remark42.jsonl": {"published": 3},
}
WITHOUT_WORDS = {"disqus.xml": 1, "commento.json": 1, "comentario.json": 1, "remark42.jsonl": 1}
IN_FILES = {"cusdis.sqlite": 6, "cusdis.sql": 6, "disqus.xml": 9, "commento.json": 7, "comentario.json": 7}
IN_FILES |= {"remark42.jsonl": 5}
OWNERS = {"commento.json": frozenset({"mo@secret.example"})}  # Commento does not say who moderates.


@pytest.fixture
def files(tmp_path: Path) -> Path:
    comment_files.write_samples(tmp_path)
    return tmp_path


def rows_of(path: Path, page: str | None = None, kind: str = "auto") -> list[FileRow]:
    options = ImportOptions(kind=kind, page=page, owners=OWNERS.get(path.name, frozenset()))
    with other_programs.opened(path, io.BufferedReader(io.BytesIO()), options) as file:
        return list(file.rows)


def imported(path: Path, *, is_rehearsal: bool = False) -> ImportReport:
    return comment_import.run_import(rows_of(path), ImportRules(factories.settings(), is_rehearsal))


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize("name", COUNTS)
def test_every_comment_keeps_its_status_and_a_second_import_adds_nothing(files: Path, name: str) -> None:
    total = sum(COUNTS[name].values())
    assert total + WITHOUT_WORDS.get(name, 0) + 1 == IN_FILES[name]
    rehearsal, first, second = (
        imported(files / name, is_rehearsal=True),
        imported(files / name),
        imported(files / name),
    )
    assert rehearsal.stored == first.stored == COUNTS[name]
    assert (second.stored, second.there) == ({}, total)
    assert rehearsal.refused + first.refused + second.refused == 0


@pytest.mark.parametrize("name", COUNTS)
def test_the_owners_answer_is_the_reply_and_the_others_name_whom_they_answer(files: Path, name: str) -> None:
    rows = [check_row(row, clock.now()) for row in rows_of(files / name)]
    first, *others = sorted(rows, key=lambda row: row.columns["created_at"])
    assert first.draft.name == "Ada"
    assert first.draft.message.startswith("Hello ")
    assert first.reply
    assert first.reply["message"] in ("Thanks", "Thank you")
    assert first.reply["created_at"] >= first.columns["created_at"]
    assert not any(row.reply for row in others)
    assert any(row.draft.message.startswith(("@Mo:\n", "@Cleo:\n")) for row in others)
    assert [row.id for row in rows] == sorted(row.id for row in rows), "in their order"
    assert "secret" not in repr([row.columns for row in rows])


@pytest.mark.parametrize("name", COUNTS)
def test_a_page_is_chosen_by_its_address_or_path(files: Path, name: str) -> None:
    blog = "/blog/?utm=1" if name == "disqus.xml" else "/blog/"
    chosen = [rows_of(files / name, page) for page in ("https://me.example/guestbook", "guestbook/", blog)]
    assert chosen[0] == chosen[1]
    assert len(chosen[0]) + len(chosen[2]) == sum(COUNTS[name].values())
    assert all("blog" in row.page for row in chosen[2])
    assert chosen[2]


@pytest.mark.parametrize("name", COUNTS)
def test_each_comment_keeps_its_page_and_a_path_alone_needs_a_website(files: Path, name: str) -> None:
    rows = rows_of(files / name)
    found = Counter(check_row(row, clock.now(), "https://me.example").columns["page"] for row in rows)
    paths = {page.partition("?")[0].rstrip("/") for page in map(str, found)}
    assert paths == {"https://me.example/guestbook", "https://me.example/blog"}
    assert found.total() == sum(COUNTS[name].values())
    without = [row.page for row in rows if check_row(row, clock.now()).columns["page"] is None]
    assert all(page.startswith("/") for page in without)


@pytest.mark.parametrize("name", [name for name in COUNTS if name != "cusdis.sqlite"])
def test_a_packed_file_gives_the_same_rows(files: Path, name: str) -> None:
    plain = rows_of(files / name)
    (files / name).write_bytes(gzip.compress((files / name).read_bytes()))
    assert rows_of(files / name) == plain


def test_what_only_some_programs_write_is_understood(files: Path) -> None:
    found = {name: [check_row(row, clock.now()) for row in rows_of(files / name)] for name in COUNTS}
    assert [row.id for row in found["cusdis.sqlite"]] == [row.id for row in found["cusdis.sql"]]
    assert found["cusdis.sql"][0].draft.message == "Hello *you*,\nback\\slash    and tab 🎈"
    assert found["disqus.xml"][0].draft.message == "Hello & hi\n\nlink (https://a.example/)\nnext line"
    assert [row.draft.website for row in found["commento.json"][:2]] == ["https://ada.example", None]
    assert found["commento.json"][1].draft.name == "Anonymous"
    assert found["comentario.json"][1].draft.name == "A guest"
    edited = {name: [row.columns["edited_at"] for row in rows] for name, rows in found.items()}
    assert clock.to_text(edited["comentario.json"][0]) == "2023-11-14T21:00:00.000Z"
    assert clock.to_text(edited["remark42.jsonl"][0]) == "2021-05-01T12:30:00.000Z"
    assert not any(edited["comentario.json"][1:] + edited["remark42.jsonl"][1:])
    assert found["remark42.jsonl"][1].draft.name == "Bob <3"
    assert found["remark42.jsonl"][1].draft.message == "@Mo:\nFirst & foremost\n\nsecond"
    assert clock.to_text(found["remark42.jsonl"][0].columns["created_at"]) == "2021-05-01T12:00:00.123Z"


def refused(path: Path, content: bytes | str, kind: str = "auto") -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(Refused) as error:
        rows_of(path, kind=kind)
    return str(error.value)


LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
OTHER_JSON = {
    '[{"id": 1, "name": "Ada"}]': 'of another kind. It begins with \'[{"id": 1,',
    '{\n  "data": {"name": "Ada"}\n}': 'of another kind. It begins with \'{\\n  "data"',
    '{"results": []}': "of another kind",
    "[" * 5000: "of another kind",
}
NOT_COMENTARIO = {
    '{"version":3,"pages":[': "The file is not JSON: Expecting value: line 1 column",
    '{"version":1,"comments":{}}': "it has no list `comments`",
    '{"version":3,"pages":' + "[" * 100_000: "The file is not JSON: maximum recursion depth",
    '{"version":1,"commenters":[]}': "it has no list `comments`",
    b'{"version":1,"comments":["\xff"]}': "The file is not JSON: 'utf-8' codec",
}
DUMPS = {
    "PGDMP\x01\x0e": "Make a plain one: pg_restore",
    "-- MySQL dump 10.13\nINSERT": "not a plain dump of PostgreSQL",
    "--\n-- PostgreSQL database dump\n--\nSET client_encoding = 'LATIN1';\n": "--encoding=UTF8",
    "--\n-- PostgreSQL database dump\n--\nINSERT INTO public.comments": "without --inserts",
    "--\n-- PostgreSQL database dump\n--\nCOPY public.comments (id, post) FROM stdin;\n": "no column pageId",
}


def packed(content: bytes) -> bytes:
    """Return it as gzip writes it at no time, so that the test has the same name in each process."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize(("content", "said"), [
    (f"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY a0 'ha'>{LAUGHS}]><disqus >&a8;</disqus>", "a DOCTYPE"),
    ("<disqus xmlns='http://disqus.com'>\n<post>", "Line 2 is not XML: no element found"),
    ("<disqus xmlns='http://disqus.com'>" + "<a>" * 100_000, "too deep inside each other"),
    *OTHER_JSON.items(),
    *NOT_COMENTARIO.items(),
    *DUMPS.items(),
    (packed(b'{"version":1,"comments":[]}' * 99)[:40], "packed file is damaged or incomplete"),
    (b"\x1f\x8bnothing", "packed file is damaged or incomplete"),
    (packed(b"SQLite format 3\0"), "A database cannot be read from standard input or packed."),
])  # fmt: skip
def test_a_hostile_file_gets_a_sentence(tmp_path: Path, content: bytes | str, said: str) -> None:
    assert said in refused(tmp_path / "file", content)


def test_a_document_as_long_as_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comentario_and_remark42, "DOCUMENT_LIMIT", 1000)
    long = json.dumps({"version": 1, "comments": [], "rest": "x" * 1000})
    assert "more than 1,000 bytes" in refused(tmp_path / "long.json", long)
    assert "more than 1,000 bytes" in refused(tmp_path / "long.json", gzip.compress(long.encode()))


def test_a_long_line_of_a_backup_is_named_and_the_others_are_read(files: Path) -> None:
    path = files / "remark42.jsonl"
    meta, *lines = path.read_text().splitlines()
    meta = meta.replace('"users":[', '"users":[' + '{"id":"x"},' * (LINE_LIMIT // 10))
    bad = ['{"id":"x","pid":""', "[]", '{"id":"y","text":"%s"}' % ("x" * 5 * LINE_LIMIT)]
    path.write_text("\n".join((meta, *bad, *lines)))
    rows = rows_of(path)
    assert [row.problem for row in rows if row.problem] == [
        "it is not JSON",
        "it is not a JSON object",
        "it has more than 1,000,000 bytes",
    ]
    assert Counter(row.problem is None for row in rows)[True] == 3


def test_what_comes_before_the_end_of_a_cut_dump_is_kept(files: Path) -> None:
    path = files / "cusdis.sql"
    row = "COPY public.pages (id) FROM stdin;"  # The words of another table look like one of Cusdis.
    other = f"COPY public.accounts (id) FROM stdin;\n{row}\n\\.\n"
    path.write_text(path.read_text().partition("2f1e7e0a")[0].replace("COPY", f"{other}COPY", 1))
    found = []
    with (
        pytest.raises(Refused, match="The dump has no end"),
        other_programs.opened(path, io.BufferedReader(io.BytesIO()), ImportOptions()) as file,
    ):
        found += [row.fields["status"] for row in file.rows]
    report = comment_import.ImportReport()
    with other_programs.opened(path, io.BufferedReader(io.BytesIO()), ImportOptions()) as file:
        assert len(comment_import._next(file.rows, 99, report)) == 3
    assert report.broken == "The dump has no end. The rest of it is missing."


@pytest.mark.parametrize(("change", "problem"), [
    ({"state": "draft"}, "its state is 'draft'"),
    ({"creationDate": "yesterday"}, "its created_at 'yesterday' is no time such as 2026-01-31 23:59"),
    ({"creationDate": 7}, "it has no created_at, the time when it was written"),
    ({"markdown": ""}, "it has no message"),
])  # fmt: skip
def test_a_wrong_comment_is_named(files: Path, change: dict[str, object], problem: str) -> None:
    path = files / "commento.json"
    document = json.loads(path.read_text())
    document["comments"] = [7, document["comments"][1] | change]
    path.write_text(json.dumps(document))
    said = []
    for row in rows_of(path):
        with pytest.raises(Refused) as error:
            check_row(row, clock.now())
        said.append(str(error.value))
    assert sorted(said) == sorted(["it is not a JSON object", problem])
