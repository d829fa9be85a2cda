"""deliveries and inbox: the lists, redeliver and reprocess are alike for both."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from guestbook.lib import clock
from guestbook.queue import redelivery
from guestbook.settings import installation
from guestbook.storage.models import Delivery, InboundEvent
from tests.cli.conftest import Shell
from tests.support import factories

HOUR = timedelta(hours=1)
HOSTILE = "\x1b]0;title\x07\x9b31mred\x7f\u202eback\r\nline\u2028 🎈"


@dataclass(frozen=True)
class Kind:
    """The words for one of the two, and what makes its rows."""

    noun: str
    verb: str
    one: str
    many: str
    owner: str  # the option, too
    model: type[Delivery] | type[InboundEvent]
    add: Callable[..., str]
    add_owner: Callable[..., str]
    rows: Callable[[], list[Any]]
    time: str

    def statuses(self) -> list[str]:
        return sorted(row.status for row in self.rows())


DELIVERIES = Kind(
    "deliveries", "redeliver", "delivery", "deliveries", "webhook", Delivery, factories.delivery,
    factories.webhook, factories.deliveries, "created_at",
)  # fmt: skip
INBOX = Kind(
    "inbox", "reprocess", "inbound event", "inbound events", "source", InboundEvent, factories.inbound,
    factories.source, factories.inbound_events, "received_at",
)  # fmt: skip


@pytest.fixture(params=[DELIVERIES, INBOX], ids=["deliveries", "inbox"])
def kind(request: pytest.FixtureRequest, shell: Shell) -> Kind:  # noqa: ARG001
    found: Kind = request.param
    return found


@pytest.fixture
def owner(kind: Kind) -> str:
    return kind.add_owner(name="Chat")


def test_an_empty_list_says_so(shell: Shell, kind: Kind) -> None:
    assert shell(kind.noun, "list") == f"No {kind.many} yet.\n"
    assert shell.json(kind.noun, "list") == []
    for option in ("--text=x", "--since=1h"):
        assert shell(kind.noun, "list", option) == f"No such {kind.one}.\n"
    word = {"deliveries": "given up", "inbox": "failed"}[kind.noun]
    assert shell(kind.noun, "list", "--status=failed") == f"No {kind.one} has the status {word}.\n"


def test_where_nothing_is_found_it_says_what_is_there(shell: Shell, kind: Kind, owner: str) -> None:
    kind.add(kind.add_owner(name="Other"), status="processed")
    for status in ("new", "new", "processed"):
        kind.add(owner, status=status)
    done = {"deliveries": "delivered", "inbox": "processed"}[kind.noun]
    of_owner = f" --{kind.owner} {owner}"
    rest = "".join(
        f"  {count} {word}: {installation.typed(f'{kind.noun} list --status {word}{of_owner}')}\n"
        for count, word in ((2, "waiting"), (1, done))
    )
    given = ("list", f"--{kind.owner}", owner, "--status", "failed", "--text", "x")
    assert shell(kind.noun, *given) == f"No such {kind.one}.\nThere are others:\n{rest}"
    of_all = f"  2 {done}: {installation.typed(f'{kind.noun} list --status {done}')}\n"
    assert shell(kind.noun, "list", f"--{kind.owner}", owner, "--until", "30d").endswith(of_all)
    again = shell(kind.noun, kind.verb, "--failed", f"--{kind.owner}", owner)
    assert again.startswith(f"Nothing to {kind.verb}: no {kind.one} has the status ")
    assert rest in again
    assert shell.json(kind.noun, kind.verb, "--failed") == {"count": 0, "groups": []}


def test_a_row_is_found_by_the_word_that_the_list_shows(shell: Shell, kind: Kind, owner: str) -> None:
    ids = {}
    for status, attempts in (("new", 0), ("new", 2), ("processed", 1), ("failed", 3)):
        row_id = kind.add(owner, status=status, attempts=attempts, claims=attempts)
        [line] = (one for one in shell(kind.noun, "list").splitlines() if one.startswith(row_id))
        found = re.search(" (waiting|retrying|delivered|given up|processed|failed) ", line)
        assert found, line
        ids.setdefault(found[1], []).append(row_id)
    assert len(ids) == {"deliveries": 4, "inbox": 3}[kind.noun]
    for word, row_ids in ids.items():
        assert shell.ids(kind.noun, "list", "--status", word) == row_ids[::-1]
    assert shell(kind.noun, "list", "--status", "new").count("\n") == 3


def test_the_list_can_be_narrowed(shell: Shell, kind: Kind, owner: str) -> None:
    other = kind.add_owner(name="Other")
    mine = [kind.add(owner, status=status) for status in ("new", "failed", "processed", "failed")]
    kind.add(other, status="failed", **{kind.time: clock.now() - 72 * HOUR})

    ids = partial(shell.ids, kind.noun, "list")
    by_owner = f"--{kind.owner}"
    assert ids("--status", "failed", by_owner, owner) == [mine[3], mine[1]]
    assert ids(by_owner, owner, "--limit", "2") == [mine[3], mine[2]]
    assert len(ids("--status", "failed")) == 3
    assert (ids("--since", "2d"), len(ids("--until", "2d"))) == (mine[::-1], 1)
    assert ids("--text", "x\0y") == []
    for wrong in ("0123", ""):
        said = shell.refused(kind.noun, "list", by_owner, wrong)
        assert f"No {kind.owner} has the id or the name {wrong or repr(wrong)}." in said
    for option in ("status=sent", "limit=0", "limit=ten", "limit=10001", "since=soon", "until=soon"):
        assert "Usage: " in shell.refused(kind.noun, "list", f"--{option}", code=2)


def test_what_others_send_is_inert_on_a_terminal(shell: Shell, kind: Kind, owner: str) -> None:
    if kind is DELIVERIES:
        key = factories.delivery(owner, attempts=1, claims=1, last_error=HOSTILE)
        factories.attempt(key, response_body=HOSTILE, response_headers={HOSTILE: HOSTILE}, error=HOSTILE)
    else:
        words = dict.fromkeys(("event", "sender", "external_id", "error"), HOSTILE)
        key = factories.inbound(owner, headers={HOSTILE: HOSTILE}, payload=HOSTILE, status="failed", **words)
    for arguments in (("show", key), ("list",), ("show", key, "--json"), ("list", "--json")):
        said = shell(kind.noun, *arguments)
        assert all(letter.isprintable() or letter == "\n" for letter in said)
        assert "🎈" in said
    document = shell.json(kind.noun, "show", key)
    stored = document["attempts_made"][0]["response_body"] if kind is DELIVERIES else document["payload"]
    assert stored == HOSTILE


def test_they_are_made_due_again_by_their_ids(shell: Shell, kind: Kind, owner: str) -> None:
    one, two = kind.add(owner, status="failed"), kind.add(owner, status="processed")
    assert f"No {kind.one} has the id 0000." in shell.refused(kind.noun, kind.verb, one, "0000")
    assert f"No {kind.one} has the id ''." in shell.refused(kind.noun, "show", "")
    assert shell(kind.noun, kind.verb, one, "--dry-run") == f"Would {kind.verb} 1 {kind.one}.\n"
    assert kind.statuses() == ["failed", "processed"]
    assert shell(kind.noun, kind.verb, one[:31]) == f"Will {kind.verb} 1 {kind.one} with the next pass.\n"
    said = shell(kind.noun, kind.verb, one, two, two)
    assert said == f"Will {kind.verb} 2 {kind.many} with the next pass.\n"
    assert kind.statuses() == ["new", "new"]


def test_it_says_what_waits_and_what_a_pass_has(shell: Shell, kind: Kind) -> None:
    reason = {"disabled_reason": "gone"} if kind is DELIVERIES else {}
    asleep = kind.add_owner(name="Asleep", disabled_at=clock.now(), **reason)
    one = kind.add(asleep, status="failed")
    two = kind.add(asleep, claimed_by="a pass", claims=1, due_at=clock.now() + HOUR)
    waits = f"The {kind.owner} Asleep is disabled: its {kind.many} wait until it is enabled."
    assert shell(kind.noun, kind.verb, one, two).splitlines() == [
        f"Will {kind.verb} 1 {kind.one} with the next pass.",
        f"Left alone, because a pass works on them: 1 {kind.one}.",
        waits,
    ]
    assert {row.claimed_by for row in kind.rows()} == {None, "a pass"}
    kind.add(asleep, status="failed")
    assert waits in shell(kind.noun, kind.verb, "--failed").splitlines()


def test_all_that_failed_are_taken_in_batches_and_can_be_narrowed(
    shell: Shell, kind: Kind, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redelivery, "REQUEUE_BATCH", 2)
    other, now = kind.add_owner(name="Other"), clock.now()
    for hours in range(5):
        kind.add(owner, status="failed", **{kind.time: now - (hours + 0.5) * HOUR})
    kind.add(other, status="failed")
    kind.add(owner, status="processed")

    def would(*options: str) -> str:
        return shell(kind.noun, kind.verb, "--failed", "--dry-run", *options)

    by_owner = f"--{kind.owner}"
    assert would() == f"Would {kind.verb} 6 {kind.many}.\n"
    assert would(by_owner, other) == f"Would {kind.verb} 1 {kind.one}.\n"
    assert would(by_owner, owner, "--since", "3h") == f"Would {kind.verb} 3 {kind.many}.\n"
    assert would("--since", clock.to_text(now - HOUR)) == f"Would {kind.verb} 2 {kind.many}.\n"
    assert set(kind.statuses()) == {"failed", "processed"}
    said = shell(kind.noun, kind.verb, "--failed", by_owner, owner)
    assert said == f"Will {kind.verb} 5 {kind.many} with the next pass.\n"
    assert kind.statuses() == ["failed"] + ["new"] * 5 + ["processed"]


def test_a_time_range_of_one_goes_after_a_question(shell: Shell, kind: Kind, owner: str) -> None:
    now = clock.now()
    for hours, status in enumerate(("processed", "new", "failed", "processed", "processed")):
        kind.add(owner, status=status, **{kind.time: now - (hours + 0.5) * HOUR})
    kind.add(kind.add_owner(name="Other"), status="processed", **{kind.time: now - 2 * HOUR})
    chosen = ("--all", f"--{kind.owner}", "Chat", "--since", "4h", "--until", "1h")
    assert shell(kind.noun, kind.verb, *chosen, "--dry-run") == f"Would {kind.verb} 3 {kind.many}.\n"
    for more in ((), ("--json",)):
        refused = shell.refused(kind.noun, kind.verb, *chosen, *more)
        assert f"Nothing was changed. Add --yes to {kind.verb} them without a question." in refused
    assert kind.statuses().count("new") == 1
    said = shell(kind.noun, kind.verb, *chosen, "--yes")
    assert said == f"Will {kind.verb} 3 {kind.many} with the next pass.\n"
    assert kind.statuses() == ["new"] * 3 + ["processed"] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        (), ("0123", "--failed"), ("0123", "--since", "1h"), ("0123", "--OWNER", "01"),
        ("0123", "--all"), ("--failed", "--all"), ("0123", "--until", "1h"), ("--all",),
        ("--all", "--since", "1h"), ("--all", "--OWNER", "01"),
        ("--failed", "--since", "yesterday"), ("--failed", "--since", "99999999999d"),
        ("--failed", "--since", "-1h"), ("--failed", "--since", ""),
    ],
)  # fmt: skip
def test_ids_or_failed_are_wanted(shell: Shell, kind: Kind, arguments: tuple[str, ...]) -> None:
    words = [word.replace("OWNER", kind.owner) for word in arguments]
    assert "Usage: " in shell.refused(kind.noun, kind.verb, *words, code=2)
