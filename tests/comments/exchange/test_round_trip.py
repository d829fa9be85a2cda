"""What export writes, import reads: each comment is the same again, in JSON lines and in CSV."""

import csv
import io
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from flask import Flask
from hypothesis import given, strategies as st
from sqlalchemy import delete, select

from guestbook.comments import comment_actions, comment_form
from guestbook.comments.exchange import comment_import, file_formats
from guestbook.comments.exchange.comment_import import ImportReport, ImportRules, check_row
from guestbook.comments.exchange.file_formats import FIELDS, ExportedComments, FileRow
from guestbook.lib import clock, ids
from guestbook.lib.text import clean_line, clean_text
from guestbook.storage.database import db, writing
from guestbook.storage.models import Comment, Origin, Reply
from tests.support import factories

NOW = datetime(2026, 1, 31, tzinfo=UTC)
FORMULAS = st.sampled_from(["=1+1", "+1", "-1", "@A1", "'=1", "''", "'tis", "\tx", "＝1", '"', ",;\n"])
typed = st.builds("".join, st.lists(FORMULAS | st.text(max_size=20), max_size=4))
lines = typed.map(clean_line).map(lambda text: text[:80].strip()).map(clean_line).filter(bool)
texts = typed.map(clean_text).filter(bool)
days = st.datetimes(datetime(1990, 1, 1), datetime(2025, 12, 31))
moments = days.map(lambda one: clock.to_text(one.replace(tzinfo=UTC)))
websites = typed.map(lambda text: comment_form.read({"website": text})).map(
    lambda draft: "" if "website" in draft.errors else draft.website or ""
)


@st.composite
def comments(draw: st.DrawFn) -> dict[str, str]:
    """The fields of a comment as the book may have it."""
    reply, origin = draw(st.just("") | texts), draw(st.just("") | lines)
    created_at = draw(moments)
    return dict.fromkeys(FIELDS, "") | {
        "id": ids.first_of(clock.from_text(created_at))[:12] + ids.new()[12:],
        "name": draw(lines),
        "website": draw(websites),
        "message": draw(texts),
        "place": draw(st.just("") | lines.map(lambda text: text[:60].strip())),
        "note": draw(st.just("") | texts),
        "mood": draw(st.just("") | lines.map(lambda text: text[:40].strip())),
        "status": draw(st.sampled_from(["published", "held", "spam", "trash"])),
        "reason": draw(st.just("") | lines),
        "reasons": draw(st.just("") | texts),
        "created_at": created_at,
        "announced_at": draw(st.just("") | moments),
        "edited_at": draw(st.just("") | moments),
        "number": draw(st.sampled_from(["", "1", "73"])),
        "reply": reply,
        "reply_created_at": draw(moments) if reply else "",
        "origin_name": origin,
        "origin_url": draw(st.sampled_from(["", "https://other.example/comments/1"])) if origin else "",
        "origin_told_at": draw(st.just("") | moments) if origin else "",
        "last_sequence": draw(st.sampled_from(["", "1", "73"])),
        "origin_source_id": draw(st.sampled_from(["", "5" * 32])) if origin else "",
        "page": draw(st.sampled_from(["", "https://a.example/%C3%A9?a=1"])),
    }


def in_csv(rows: Iterable[dict[str, str]], encoding: str = "utf-8") -> bytes:
    text = io.StringIO(newline="")
    file_formats.write_csv(text, iter(rows))
    return text.getvalue().encode(encoding)


def in_json(rows: Iterable[dict[str, str]]) -> bytes:
    return "".join(map(file_formats.json_line, rows)).encode()


@given(st.lists(comments(), min_size=1, max_size=5), st.sampled_from(["utf-8", "utf-8-sig"]))
def test_both_formats_give_back_each_field(rows: list[dict[str, str]], encoding: str) -> None:
    assert [row.fields for row in file_formats.read_csv(io.BytesIO(in_csv(rows, encoding)), {})] == rows
    assert [row.fields for row in file_formats.read_json_lines(io.BytesIO(in_json(rows)))] == rows


@given(comments())
def test_no_cell_is_a_formula(row: dict[str, str]) -> None:
    cells = list(csv.reader(io.StringIO(in_csv([row]).decode(), newline="")))[1]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))]


@given(comments())
def test_the_rules_of_the_form_change_nothing_of_a_comment_that_obeys_them(fields: dict[str, str]) -> None:
    checked = check_row(FileRow("Line 1", fields), NOW)
    for name, value in (("id", checked.id), ("name", checked.draft.name), ("message", checked.draft.message)):
        assert value == fields[name]
    found = (checked.draft.website or "", *(checked.columns[name] or "" for name in ("reason", "page")))
    assert found == (fields["website"], fields["reason"], fields["page"])
    assert (checked.reply["message"] if checked.reply else "") == fields["reply"]
    assert checked.note is None


def test_an_export_has_each_column_of_a_comment_that_another_book_can_use() -> None:
    exported = {column.property.columns[0] for column in file_formats.COLUMNS.values()}
    left_out = {
        f"{table.name}.{column.name}"
        for table in (Comment.__table__, Reply.__table__, Origin.__table__)
        for column in table.c
        if column not in exported
    }
    assert left_out == {
        "comments.form_key",
        "comments.spam_since",
        "comments.learned_as",
        "comments.decisions",  # a file must not say who decided here
        "replies.comment_id",
        "origins.comment_id",
    }
    assert tuple(file_formats.COLUMNS) == FIELDS


def exported() -> list[dict[str, str]]:
    db.session.remove()
    with file_formats.snapshot(db.engine) as connection:
        return list(file_formats.comment_rows(connection, ExportedComments()))


def imported(data: bytes, kind: str) -> ImportReport:
    file = io.BytesIO(data)
    rows = file_formats.read_csv(file, {}) if kind == "csv" else file_formats.read_json_lines(file)
    return comment_import.run_import(rows, ImportRules(factories.settings()))


@pytest.mark.usefixtures("each_app")
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_book_that_is_emptied_and_imported_is_the_same_book(kind: str) -> None:
    factories.webhook()
    keys = [factories.sign(f"=Nummer {number} 🎈\nzwei", name="@Ada") for number in range(3)]
    with writing() as session:
        row = session.get_one(Comment, keys[0])
        row.status, row.reason, row.website = "held", "It holds 9 links.", "https://ada.example/"
        row.reply = Reply(message="- Danke", created_at=NOW)
        row.origin = Origin(name="Shop", url="https://shop.example/1", told_at=NOW, source_id="5" * 32)
    before = exported()
    assert [row["id"] for row in before] == keys
    assert set(before[0]) == set(FIELDS)
    data = in_csv(before) if kind == "csv" else in_json(before)
    assert imported(data, kind).there == 3
    factories.written(lambda session: session.execute(delete(Comment)))
    waiting = len(factories.deliveries())
    report = imported(data, kind)
    assert (report.stored, report.there, report.refused) == ({"published": 2, "held": 1}, 0, 0)
    assert exported() == before
    assert len(factories.deliveries()) == waiting


@pytest.mark.usefixtures("app")
def test_the_events_about_an_imported_comment_go_on_counting() -> None:
    factories.webhook()
    fields = {"name": "Ada", "message": "Hello", "created_at": "2020-01-31"}
    rows = [FileRow(f"Line {number}", {**fields, "last_sequence": number}) for number in ("7", "-1", "2e9")]
    report = comment_import.run_import(rows, ImportRules(factories.settings(), with_events=True))
    assert (report.stored.total(), report.refused) == (1, 2)
    assert factories.one().sequence == 8


def test_an_export_from_before_the_last_field_is_ours_too() -> None:
    cells = dict.fromkeys(FIELDS[:-1], "") | {"name": "Ada", "message": "'=1+1", "created_at": "2020-01-31"}
    text = "\n".join(",".join(line) for line in (cells.keys(), cells.values()))
    [row] = file_formats.read_csv(io.BytesIO(text.encode()), {})
    assert row.fields["message"] == "=1+1"


def test_an_export_is_one_snapshot(each_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    if "journal_mode=delete" in each_app.config["GUESTBOOK"].database_url:
        pytest.skip("in this mode a reader keeps writers out")
    monkeypatch.setattr(file_formats, "FETCHED_ROWS", 1)
    keys = [factories.sign(str(number)) for number in range(4)]
    db.session.remove()
    with file_formats.snapshot(db.engine) as connection:
        rows = file_formats.comment_rows(connection, ExportedComments())
        first = next(rows)
        factories.sign("late")
        factories.written(lambda session: session.execute(delete(Comment).where(Comment.id == keys[3])))
        assert [first["id"], *(row["id"] for row in rows)] == keys


@pytest.mark.usefixtures("app")
def test_an_import_goes_on_where_it_was_killed() -> None:
    fields = {"name": "Ada", "created_at": "2020-01-31"}
    rows = [FileRow(f"Line {n}", {**fields, "message": f"{n}"}) for n in range(5)]

    def kill(_rows: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        comment_import.run_import(rows, ImportRules(factories.settings(), after_chunk=kill))
    assert len(exported()) == 1
    report = comment_import.run_import(rows, ImportRules(factories.settings()))
    assert (report.stored.total(), report.there) == (4, 1)
    assert sorted(db.session.scalars(select(Comment.message))) == ["0", "1", "2", "3", "4"]


@pytest.mark.usefixtures("app")
def test_an_import_with_events_lets_visitors_sign_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    factories.webhook()
    rows = [FileRow(f"{n}", {"name": "A", "message": f"{n}", "created_at": "2020-01-31"}) for n in range(12)]
    announce, counts = comment_actions.announce, [0]

    def slowly(*arguments: Any) -> None:
        time.sleep(comment_import.TURN / 2)
        announce(*arguments)

    monkeypatch.setattr(comment_actions, "announce", slowly)
    rules = ImportRules(
        factories.settings(), with_events=True, after_chunk=lambda _: counts.append(len(exported()))
    )
    comment_import.run_import(rows, rules)
    assert counts[-1] == len(factories.deliveries()) == 12
    assert max(after - before for before, after in pairwise(counts)) <= 2


@pytest.mark.usefixtures("app")
def test_an_import_that_is_overtaken_finds_its_comments(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [FileRow("Line 1", {"name": "Ada", "message": "Hi", "created_at": "2026-01-31 23:59"})]
    rules = ImportRules(factories.settings())
    comment_import.run_import(rows, rules)
    new = comment_import._new
    blind = iter([lambda _session, comments: comments])  # as if the other's were not committed yet
    monkeypatch.setattr(comment_import, "_new", lambda *given: next(blind, new)(*given))
    report = comment_import.run_import(rows, rules)
    assert (report.there, report.stored.total()) == (1, 0)
