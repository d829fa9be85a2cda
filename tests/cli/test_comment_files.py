"""comments export and import: the commands around the files."""

import json
import tracemalloc
from pathlib import Path

import pytest
from sqlalchemy import insert

from guestbook.cli.comment_files import NO_PAGE
from guestbook.comments.spam.spam_rules import Classification
from guestbook.lib import clock, ids
from guestbook.queries import statistics
from guestbook.storage import database
from guestbook.storage.comment_fields import COMMENT_FIELDS
from guestbook.storage.database import db
from guestbook.storage.models import Comment
from tests.cli.conftest import Shell
from tests.support import comment_files, factories, visitor

HELD = Classification("held", ("It holds 9 links.",))


def messages(shell: Shell) -> list[str]:
    return [row["message"] for row in shell.json("comments", "list")]


def test_export_writes_json_lines_to_standard_output_oldest_first(shell: Shell) -> None:
    old, new = factories.sign("Grüße 🎈"), factories.sign(verdict=HELD)
    rows = [json.loads(line) for line in shell("comments", "export").splitlines()]
    assert [row["id"] for row in rows] == [old, new]
    assert rows[0] | {"id": "", "created_at": "", "announced_at": ""} == {
        **{"id": "", "name": "Ada", "message": "Grüße 🎈", "status": "published"},
        **dict.fromkeys((*COMMENT_FIELDS.keys() - {"name", "message"}, "reason", "reasons", "edited_at")),
        **dict.fromkeys(("reply", "origin", "page")),
        **{"created_at": "", "announced_at": "", "number": 1, "last_sequence": None},
    }
    assert (rows[1]["status"], rows[1]["reason"]) == ("held", "It holds 9 links.")


def test_export_can_be_narrowed(shell: Shell) -> None:
    factories.sign()
    held = factories.sign(verdict=HELD)
    assert json.loads(shell("comments", "export", "--status", "held"))["id"] == held
    until, since = (shell("comments", "export", option, "1d") for option in ("--until", "--since"))
    assert (until, len(since.splitlines())) == ("", 2)
    assert "--bom is for --format csv" in shell.refused("comments", "export", "--bom", code=2)


def test_export_finds_what_a_visitor_wrote_under_exactly_that_name(shell: Shell, tmp_path: Path) -> None:
    mine = [factories.sign(name="Zoë"), factories.sign(name="Zoë", verdict=HELD)]
    for other in ("Zoe", "zoë", "Zoë B."):
        factories.sign(name=other)
    found = shell("comments", "export", "--name", " Zoe\u0308 ").splitlines()  # as some keyboards write it
    assert [json.loads(line)["id"] for line in found] == mine
    file = str(tmp_path / "zoe.jsonl")
    for name, number in (("Zoë", 2), ("Nobody", 0)):
        said = shell("comments", "export", "--name", name, file)
        assert said == f"Exported {number} comments to {file}.\n"
    assert shell("comments", "export", "--name", "") == ""


def test_export_follows_no_link(shell: Shell, tmp_path: Path) -> None:
    factories.sign("Hello")
    mine, file = tmp_path / "mine", tmp_path / "book.jsonl"
    mine.write_text("x")
    (tmp_path / "book.jsonl.part").symlink_to(mine)
    shell("comments", "export", str(file))
    (tmp_path / "link.jsonl").symlink_to(mine)
    assert "is a link" in shell.refused("comments", "export", str(tmp_path / "link.jsonl"))
    assert mine.read_text() == "x"
    assert not file.is_symlink()


def test_export_to_a_file_takes_the_format_from_its_name(shell: Shell, tmp_path: Path) -> None:
    factories.sign("=1+1")
    file = tmp_path / "book.csv"
    file.write_text("old")
    assert shell("comments", "export", str(file), "--bom") == f"Exported 1 comment to {file}.\n"
    assert file.read_bytes().startswith(b'\xef\xbb\xbf"id","name"')
    assert '"\'=1+1"' in file.read_text()
    assert shell("comments", "import", str(file)) == "Imported 0 comments.\nThere already: 1.\n"
    for place, why in (("no/book.csv", "No such file or directory"), ("x" * 300, "File name too long")):
        said = shell.refused("comments", "export", f"{tmp_path}/{place}")
        assert said == f"Error: {tmp_path}/{place} cannot be written: {why}.\n"
    assert [one.name for one in tmp_path.glob("book*")] == ["book.csv"]


@pytest.mark.parametrize("name", ["comments.db", "wordpress.xml"])
def test_a_file_of_others_is_recognised_and_imported_once(shell: Shell, tmp_path: Path, name: str) -> None:
    factories.webhook()
    visitor.set_(embed_sites="https://site.example")
    comment_files.write_samples(tmp_path)
    file = str(tmp_path / name)
    assert shell("comments", "import", file, "--dry-run") == "Would import 1 comment: 1 published.\n"
    assert messages(shell) == []
    assert "no comment of the page /else" in shell.refused("comments", "import", file, "--page", "/else")
    assert shell("comments", "import", file, "--page", "/guestbook/") == "Imported 1 comment: 1 published.\n"
    assert shell("comments", "import", file) == "Imported 0 comments.\nThere already: 1.\n"
    assert messages(shell) == ["Hello"]
    assert factories.deliveries() == []


@pytest.mark.parametrize("content", ["", '<feed xmlns="http://www.w3.org/2005/Atom"><entry/></feed>'])
def test_without_comments_the_formats_are_named(shell: Shell, tmp_path: Path, content: str) -> None:
    (tmp_path / "x.xml").write_text(content and f"<?xml version='1.0'?>{content}")
    said = shell.refused("comments", "import", str(tmp_path / "x.xml"))
    assert "The file has no comment that can be read." in said
    assert all(one in said for one in ("JSON lines", "CSV", "Isso", "WordPress", "Disqus"))


def test_imported_comments_stand_in_the_book_by_their_time(shell: Shell, tmp_path: Path) -> None:
    factories.sign("new")
    comment_files.write_samples(tmp_path)
    named = ("--map", "name=Author", "--map", "message=Text", "--map", "created_at=Date")
    shell("comments", "import", str(tmp_path / "guests.csv"), *named, "--time-format", "%d.%m.%Y %H:%M")
    assert messages(shell) == ["new", "Two\nlines", "Hello, world"]


def test_webhooks_hear_of_imported_comments_on_request(shell: Shell, tmp_path: Path) -> None:
    factories.webhook(events="comment.created comment.published comment.replied")
    file = tmp_path / "book.jsonl"
    replied = {"message": "Thank you", "created_at": "2020-02-01"}
    rows = [{"status": "held"}, {"status": "spam"}, {"reply": replied}]
    lines = [
        {"name": "Ada", "message": "Hello", "created_at": f"2020-01-0{n}", **row}
        for n, row in enumerate(rows, 1)
    ]
    file.write_text("\n".join(map(json.dumps, lines)))
    said = shell("comments", "import", str(file), "--notify-webhooks")
    assert said == "Imported 3 comments: 1 published, 1 held, 1 spam.\n"
    created, published, replied_ = "comment.created", "comment.published", "comment.replied"
    assert sorted(row.event for row in factories.deliveries()) == [created, created, published, replied_]
    comment = json.loads(factories.deliveries()[0].payload)["data"]["comment"]
    assert comment["created_at"] == "2020-01-01T00:00:00.000Z"
    shell("comments", "import", str(file), "--notify-webhooks")
    assert len(factories.deliveries()) == 4


def test_bad_rows_are_named_and_left_out(shell: Shell, tmp_path: Path) -> None:
    good = {"name": "Ada", "message": "Hello", "created_at": "2020-01-31"}
    long = good | {"message": "🎈" * 4000, "reply": {"message": "x" * 4000, "created_at": "2020-01-31"}}
    lines = [good, {}, long, good | {"message": "Bye", "website": "nowhere"}]
    (tmp_path / "x").write_text("\n".join(map(json.dumps, lines)))
    done = shell.result("comments", "import", str(tmp_path / "x"))
    assert (done.exit_code, done.stdout) == (1, "Imported 2 comments: 2 published.\nLeft out: 2.\n")
    assert done.stderr.splitlines() == [
        "Line 2 was left out: it has no name.",
        "Line 3 was left out: comment and reply are together too long for a webhook.",
        "Line 4 was imported without its website, because 'nowhere' cannot be a link.",
    ]
    (tmp_path / "many").write_text("{}\n" * 150)
    done = shell.result("comments", "import", str(tmp_path / "many"))
    assert len(done.stderr.splitlines()) == 101
    assert done.stdout == "Imported 0 comments.\nLeft out: 150.\n"


def test_what_comes_before_a_broken_place_is_imported(shell: Shell, tmp_path: Path) -> None:
    path = comment_files.wordpress(tmp_path / "export.xml", page=[{}])
    path.write_text(path.read_text().replace("</channel>", "<channel>"))
    done = shell.result("comments", "import", str(path))
    assert (done.exit_code, done.stdout) == (1, "Imported 1 comment: 1 published.\n")
    assert "is not XML: mismatched tag. The rest of the file was not read." in done.stderr
    assert messages(shell) == ["Hello"]


def test_an_owner_of_isso_is_named(shell: Shell, tmp_path: Path) -> None:
    comments = [(1, n, 1580515140.0, 1, name, None, name) for n, name in enumerate(("Ada", "Me"), 1)]
    file = str(comment_files.isso(tmp_path / "comments.db", comments, {2: 1}))
    said = shell("comments", "import", file, "--owner", "ME")
    assert said == f"Imported 1 comment: 1 published.\nWithout their page: 1. {NO_PAGE}\n"
    made = json.loads(shell("comments", "export"))
    assert (made["reply"]["message"], made["page"]) == ("Me", None)


def test_files_that_cannot_be_imported_are_refused(shell: Shell, tmp_path: Path) -> None:
    missing, utf16, latin1, jsonl = (tmp_path / name for name in ("missing", "utf16", "latin1", "jsonl"))
    utf16.write_text("name", encoding="utf-16")
    jsonl.write_text("{}")
    assert "cannot be read: No such file" in shell.refused("comments", "import", str(missing))
    assert "The file is in UTF-16." in shell.refused("comments", "import", str(utf16))
    for start, why in {
        b"PK\x03\x04\x14\0": "The file is not text. Unpack an archive",
        b"<!DOCTYPE html>\n": "The file is a web page, ",
        "name,message,created_at,Größe\n".encode("latin-1"): "Line 1, with the headings, is not UTF-8.",
    }.items():
        latin1.write_bytes(start)
        assert why in shell.refused("comments", "import", str(latin1))
    asked = ("comments", "import", str(jsonl))
    assert "are for CSV files, and this one is jsonl" in shell.refused(*asked, "--map", "name=Author")
    assert "--page and --owner are for files of other programs" in shell.refused(*asked, "--page", "/")
    assert "'mail=x' is not FIELD=COLUMN" in shell.refused(*asked, "--map", "mail=x", code=2)
    assert "not a database of Isso" in shell.refused(*asked, "--format", "isso")


def test_no_terminal_obeys_the_names_of_columns_in_a_file(shell: Shell, tmp_path: Path) -> None:
    given = tmp_path / "given.csv"
    given.write_text("na\x1b[31mme,\x1b]0;x\x07b," + "c" * 5000 + "\n1,2,3\n")
    refused = shell.result("comments", "import", str(given))
    assert (refused.exit_code, len(refused.stderr) < 2100) == (1, True)
    assert "columns are na [31mme,  ]0;x b, ccc" in refused.stderr
    assert refused.stderr.rstrip("\n").isprintable()


def test_a_large_book_is_exported_and_imported_in_little_memory(shell: Shell, tmp_path: Path) -> None:
    now, file = clock.now(), str(tmp_path / "book.jsonl")
    factories.sign()
    shell("comments", "export", file)  # what is loaded late is not counted
    shell("comments", "import", file)
    rows = [
        {"id": ids.new(), "name": "Ada", "message": "x" * 1000, "status": "published", "created_at": now}
        for _ in range(4000)
    ]
    with database.write(db.engine) as connection:
        connection.execute(insert(Comment.__table__), rows)
    del rows
    for words in (("export", file), ("import", file)):
        tracemalloc.start()
        shell("comments", *words)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert most < 3_500_000, words  # the comments have four million
    assert statistics.count_some(db.session(), Comment.status == "published", Comment) == 4001
