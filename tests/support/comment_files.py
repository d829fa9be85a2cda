"""Files of comments as other programs write them.

The folder `exports` has a small conversation for each of the other programs, in the shape of its own schema
or export code, with every state that it knows. `cusdis.sql` came out of pg_dump.
"""

import io
import shutil
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from guestbook.comments.exchange import comment_import, file_formats
from guestbook.comments.exchange.comment_import import CheckedComment

ISSO_TABLES = """
    CREATE TABLE preferences (key VARCHAR PRIMARY KEY, value VARCHAR);
    CREATE TABLE threads (id INTEGER PRIMARY KEY, uri VARCHAR(256) UNIQUE, title VARCHAR(256));
    CREATE TABLE comments (tid REFERENCES threads(id), id INTEGER PRIMARY KEY, parent INTEGER,
        created FLOAT NOT NULL, modified FLOAT, mode INTEGER, remote_addr VARCHAR, text VARCHAR,
        author VARCHAR, email VARCHAR,
        website VARCHAR, likes INTEGER DEFAULT 0, dislikes INTEGER DEFAULT 0, voters BLOB NOT NULL,
        notification INTEGER DEFAULT 0);
    INSERT INTO threads VALUES (1, '/guestbook/', 'Guestbook'), (2, '/blog/', 'Blog');
"""
WXR = """<?xml version="1.0" encoding="UTF-8" ?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="http://wordpress.org/export/1.2/">
<channel>
    <title>Site</title>
    <link>https://site.example</link>
    <wp:base_blog_url>https://site.example</wp:base_blog_url>
    <wp:author><wp:author_id>1</wp:author_id><wp:author_login>owner</wp:author_login></wp:author>
    {items}
</channel>
</rss>
"""
ITEM = "<item><title>Page</title><link>https://site.example/{page}/</link>{comments}</item>"
WP_COMMENT = """
<wp:comment>
    <wp:comment_id>{id}</wp:comment_id>
    <wp:comment_author><![CDATA[{author}]]></wp:comment_author>
    <wp:comment_author_email><![CDATA[ada@secret.example]]></wp:comment_author_email>
    <wp:comment_author_url>{url}</wp:comment_author_url>
    <wp:comment_author_IP><![CDATA[192.0.2.77]]></wp:comment_author_IP>
    <wp:comment_date><![CDATA[2020-05-01 14:00:00]]></wp:comment_date>
    <wp:comment_date_gmt><![CDATA[{gmt}]]></wp:comment_date_gmt>
    <wp:comment_content><![CDATA[{content}]]></wp:comment_content>
    <wp:comment_approved><![CDATA[{approved}]]></wp:comment_approved>
    <wp:comment_type><![CDATA[{type}]]></wp:comment_type>
    <wp:comment_parent>{parent}</wp:comment_parent>
    <wp:comment_user_id>{user}</wp:comment_user_id>
    <wp:commentmeta><wp:meta_key>akismet_result</wp:meta_key><wp:meta_value>false</wp:meta_value></wp:commentmeta>
</wp:comment>"""
SPREADSHEET = 'Author;Text;Date\nAda;"Hello, world";31.01.2020 23:59\nBob;"Two\nlines";01.02.2020 08:00\n'


def isso(
    path: Path,
    comments: Sequence[tuple[int, int, float, int, str | None, str | None, str]],
    parents: Mapping[int, int] = MappingProxyType({}),
) -> Path:
    """Write a database: (thread, id, created, mode, author, website, text) of each, and child → parent."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(ISSO_TABLES)
        connection.executemany(
            "INSERT INTO comments (tid, id, created, mode, author, website, text, email, remote_addr, voters)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, 'ada@secret.example', '192.0.2.77', x'00')",
            comments,
        )
        connection.executemany(
            "UPDATE comments SET parent = ? WHERE id = ?", [(one, answer) for answer, one in parents.items()]
        )
    return path


def wordpress(path: Path, **pages: Sequence[dict[str, object]]) -> Path:
    """Write an export: the comments of each page, by what differs from an approved one of Ada's."""
    usual = {"author": "Ada", "url": "", "gmt": "2020-05-01 12:00:00", "content": "Hello"}
    usual |= {"approved": "1", "type": "comment", "parent": "0", "user": "0"}
    items = ""
    for page, some in pages.items():
        given = ({"id": number, **usual, **one} for number, one in enumerate(some, 1))
        items += ITEM.format(page=page, comments="".join(WP_COMMENT.format(**one) for one in given))
    path.write_text(WXR.format(items=items))
    return path


EXPORTS = Path(__file__).parent / "exports"


def cusdis(path: Path) -> Path:
    """Write its database of SQLite, with the comments of `cusdis.sql`."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript((EXPORTS / "cusdis-sqlite.sql").read_text())
    return path


def write_samples(folder: Path) -> None:
    """Write one of each under the names that the guide has."""
    for name in ("cusdis.sql", "disqus.xml", "commento.json", "comentario.json", "remark42.jsonl"):
        shutil.copyfile(EXPORTS / name, folder / name)
    cusdis(folder / "cusdis.sqlite")
    isso(folder / "comments.db", [(1, 1, 1580515140.5, 1, "Ada", None, "Hello")])
    wordpress(folder / "wordpress.xml", guestbook=[{}])
    (folder / "guests.csv").write_text(SPREADSHEET)


def assert_kept_by_export(comment: CheckedComment, now: datetime) -> None:
    """Export a comment in both formats, and read it back: nothing about it may change."""
    fields = {**comment.draft.values, **comment.columns}
    if comment.reply:
        fields |= {"reply": comment.reply["message"], "reply_created_at": comment.reply["created_at"]}
    if comment.origin:
        fields |= {field: comment.origin[name] for name, field in file_formats.ORIGIN_FIELDS.items()}
    texts = {name: file_formats._text(fields.get(name)) for name in file_formats.FIELDS}
    sheet = io.StringIO(newline="")
    file_formats.write_csv(sheet, iter([texts]))
    lines = file_formats.json_line(texts)
    for row in (
        *file_formats.read_csv(io.BytesIO(sheet.getvalue().encode()), {}),
        *file_formats.read_json_lines(io.BytesIO(lines.encode())),
    ):
        assert comment_import.check_row(row, now) == replace(comment, note=None)
