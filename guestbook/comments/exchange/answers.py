"""Answers in the files of programs with threads. This book has one reply to a comment, the owner's. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from guestbook.comments.comment_form import MESSAGE_LIMIT
from guestbook.comments.exchange.file_row import FileRow
from guestbook.comments.reply_size import REPLIED_LIMIT, REPLY_LIMIT

OTHER_FIELDS = 4000  # bytes of a comment beside its message, at most


def placed(page: Iterable[FileRow]) -> Iterator[FileRow]:
    """Yield the comments of a page: an owner's answer is a comment's reply, any other names whom it answers.

    An owner's answer to that reply continues it. One that does not fit stays a comment of its own.
    """
    rows = sorted(page, key=lambda row: row.number)
    places = {row.number: place for place, row in enumerate(rows) if row.number and not row.problem}
    targets: dict[int, int] = {}  # the place of an owner's answer → that of the comment whose reply it is
    answers: dict[int, list[FileRow]] = defaultdict(list)
    for place, row in enumerate(rows):
        parent = places.get(row.parent, place)
        target = targets.get(parent, parent)
        if row.is_owners and target < place and _fits(rows[target], [*answers[target], row]):
            targets[place] = target
            answers[target].append(row)
    for place, row in enumerate(rows):
        if place not in targets:
            parent = places.get(row.parent, place)
            yield _answered(_naming(row, rows[parent]) if parent < place else row, answers[place])


def _fits(comment: FileRow, answers: Sequence[FileRow]) -> bool:
    reply = _joined(answers)
    both = json.dumps([comment.fields["message"], reply], ensure_ascii=False)
    return len(reply) <= REPLY_LIMIT and len(both.encode(errors="replace")) <= REPLIED_LIMIT - OTHER_FIELDS


def _joined(answers: Sequence[FileRow]) -> str:
    return "\n\n".join(one.fields["message"] for one in answers)


def _answered(row: FileRow, answers: Sequence[FileRow]) -> FileRow:
    if not answers:
        return row
    reply = {"reply": _joined(answers), "reply_created_at": answers[0].fields["created_at"]}
    return replace(row, fields={**row.fields, **reply})


def _naming(row: FileRow, parent: FileRow) -> FileRow:
    if row.problem:
        return row
    message = f"@{' '.join(parent.fields['name'].split())}:\n{row.fields['message']}"
    return replace(row, fields={**row.fields, "message": message}) if len(message) <= MESSAGE_LIMIT else row
