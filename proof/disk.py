"""A disk that loses its power: what a traced program did to its files, and what may be left of it.

A file's data are safe once that file was synced, and a name once its folder was. All else may be dropped,
kept in another order, or torn at sectors. Real file systems keep more than that.
"""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePath
from random import Random
from typing import NamedTuple, TypeAlias

SECTOR = 512  # bytes that a disk writes all or none of
MAPPED_FILES = ("-shm",)  # SQLite makes their content anew when it opens a book that nobody has open
CALLS = "open,openat,write,pwrite64,ftruncate,fsync,fdatasync,syncfs,mkdir,mkdirat,rmdir,unlink,unlinkat"
CALLS += ",rename,renameat,renameat2,link,linkat"
COPIES = "sendfile,copy_file_range"  # The trace would not show what they copy. They fail, and others come.
STRACE = (
    *("strace", "-A", "-f", "-y", "-qq", "--seccomp-bpf", "-e", "signal=none", "-s", "1000000000"),
    *("-e", f"trace={CALLS},{COPIES}", "-e", f"inject={COPIES}:error=EINVAL"),
)
LINE = re.compile(r"(\d+) +(?:<\.\.\. )?(\w+)( resumed>|\()(.*)\n")
UNFINISHED, RESUMED = " <unfinished ...>", " resumed>"
RESULT = re.compile(r"(.*)\) += (\w+)(?:<(.*)>)?")
ARGUMENT = re.compile(r'(?:AT_FDCWD|\d+)<([^>]*)>|("[^"\\]*(?:\\.[^"\\]*)*")|([^\s,"<>()|]+)')
SELF = "/proc/self/fd/"  # here Linux shows open files and folders by number
NUMBER = re.compile(f"{SELF}[0-9]+")
PROMISE = "promise"  # the name of what is no call: from here on what its data say must be there
DISK, PROMISES = "disk", "promises"  # in the folder of a recording: the folder that is traced, and a file
LIVE = "live"  # the name of that folder meanwhile: SQLite keeps the path in a journal of two files
Image = dict[str, bytes | None]  # what is left, by path; a folder has no content


class DiskCall(NamedTuple):
    """A system call that succeeded: the paths that it names, its data, its numbers and flags."""

    name: str
    paths: list[str]
    data: bytes
    words: list[str]


def read_trace(log: Path, folder: Path) -> list[list[DiskCall]]:
    """Return what was done in each of the recordings of a folder from its first promise on."""
    found: list[list[DiskCall]] = []
    ours = re.compile(rf"{folder}/{LIVE}/({DISK}|{PROMISES})(?:/(.*))?")
    for call in _calls(log, str(folder)):
        places, opens = [one for path in call.paths if (one := ours.fullmatch(path))], "open" in call.name
        if not places or (opens and not {"O_CREAT", "O_TRUNC"} & {*call.words}):
            continue
        if (is_promise := places[0][1] == PROMISES) and opens:
            found.append([])
        elif found and (found[-1] or is_promise):
            name, paths = PROMISE if is_promise else call.name, [one[2] or "" for one in places]
            found[-1].append(DiskCall(name, paths, ast.literal_eval(f'b"{call.data.decode()}"'), call.words))
    return found


def _calls(log: Path, text: str) -> Iterator[DiskCall]:
    """Yield the calls with this text in the order in which they ended, without those on deleted files."""
    begun: dict[str, str] = {}
    opened: dict[str, str] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            if not (parts := LINE.fullmatch(line)):
                continue
            process, name, how, rest = parts.groups()
            if rest.endswith(UNFINISHED):
                begun[process] = rest.removesuffix(UNFINISHED)
                continue
            rest = begun.pop(process, "") + rest if how == RESUMED else rest
            if (text in rest or SELF in rest) and (done := RESULT.fullmatch(rest)):
                if done[3]:
                    opened[SELF + done[2]] = done[3]
                call = _call(name, done[1], done[3], opened)
                if "deleted" not in call.words:
                    yield call


def _call(name: str, arguments: str, result: str | None, opened: dict[str, str]) -> DiskCall:
    folder, data = "/", ""
    paths: list[str] = []
    words: list[str] = []
    if name in ("write", "pwrite64"):
        before, _, rest = arguments.partition('"')
        data, _, after = rest.rpartition('"')
        arguments = before + after
    for place, text, word in ARGUMENT.findall(arguments):
        folder = place or folder
        if text:
            path = os.path.join(folder, ast.literal_eval(text))  # noqa: PTH118  # it may be whole
            paths.append(NUMBER.sub(lambda found: opened.get(found[0], found[0]), path))
        words += [word] if word else []
    return DiskCall(name, [result] if result else paths or [folder], data.encode(), words)


@dataclass(slots=True)
class Choice:
    """What survives one cut: shares of the unsynced data and names, drawn by seed."""

    random: Random
    data: float  # the share that is kept
    names: float
    is_torn: bool = True  # at sectors; else each write is kept whole or dropped
    is_in_order: bool = False  # names in a folder, as with a journal of the file system

    def keeps(self, share: float) -> bool:
        """Whether the next one is kept, of which this share is."""
        return self.random.random() < share

    def pieces(self, at: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield the begin and end of the pieces of a write that are kept or dropped on their own."""
        step = SECTOR if self.is_torn else at + length + 1
        yield from pairwise([0, *range(step - at % step, length, step), length])


def choices(random: Random) -> Iterator[Choice]:
    """Yield what may survive, the extremes first and then without end by chance."""
    for shares in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        yield Choice(random, *shares)
    while True:
        shares = random.choice((0.1, 0.5, 0.9)), random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        yield Choice(random, *shares, is_torn=random.random() < 0.7, is_in_order=random.random() < 0.5)


@dataclass(slots=True)
class DiskFile:
    """What of a file is safe, and the writes and truncations since its last sync."""

    safe: bytearray = field(default_factory=bytearray)
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)  # without data it is a new size

    @property
    def size(self) -> int:
        """Return how many bytes the program sees."""
        size = len(self.safe)
        for at, data in self.waiting:
            size = at if data is None else max(size, at + len(data))
        return size

    def unsynced(self) -> int:
        """Return of about how many pieces each may be lost on its own."""
        return sum(1 + len(data or b"") // SECTOR for _, data in self.waiting)

    def sync(self) -> None:
        """Make all that was written safe."""
        for at, data in self.waiting:
            _write(self.safe, at, data)
        self.waiting.clear()

    def left(self, choose: Choice) -> bytes:
        """Return what the disk may hold after the cut."""
        found = bytearray(self.safe)
        for at, data in self.waiting:
            for begin, end in ((0, 0),) if data is None else choose.pieces(at, len(data)):
                if choose.keeps(choose.data):
                    _write(found, at + begin, data and data[begin:end])
        return bytes(found)


def _write(content: bytearray, at: int, data: bytes | None) -> None:
    content.extend(bytes(max(0, at - len(content))))
    if data is None:
        del content[at:]
    else:
        content[at : at + len(data)] = data


@dataclass(slots=True)
class DiskFolder:
    """The names in a folder: which are safe, and the changes since its last sync. A folder is a disk, too."""

    safe: dict[str, "Node"] = field(default_factory=dict)
    now: dict[str, "Node"] = field(default_factory=dict)  # what the program sees
    # What names stand for after each change. One that is None has gone.
    waiting: list[dict[str, "Node | None"]] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "DiskFolder":
        """Return the disk on which all of a folder is safe."""
        names: dict[str, Node] = {
            path.name: cls.of(path) if path.is_dir() else DiskFile(bytearray(path.read_bytes()))
            for path in folder.iterdir()
        }
        return cls(names, dict(names))

    def apply(self, call: DiskCall) -> None:
        """Do what the program did."""
        place, name = self._folder(PurePath(call.paths[0]).parent), PurePath(call.paths[0]).name
        node = place.now.get(name) if name else self
        match call.name, node:
            case (("open" | "openat"), None):
                place.change({name: DiskFile()})
            case (("open" | "openat"), DiskFile()) if "O_TRUNC" in call.words:
                node.waiting.append((0, None))
            case "write", DiskFile():  # All programs here write at the end. Else `Recording.check` fails.
                node.waiting.append((node.size, call.data))
            case "pwrite64", DiskFile():
                node.waiting.append((int(call.words[-1]), call.data))
            case "ftruncate", DiskFile():
                node.waiting.append((int(call.words[-1]), None))
            case (("fsync" | "fdatasync"), DiskFile() | DiskFolder()):
                node.sync()
            case "syncfs", _:
                self.sync_all()
            case (("mkdir" | "mkdirat"), None):
                place.change({name: DiskFolder()})
            case (("unlink" | "unlinkat" | "rmdir"), _):
                place.change({name: None})
            case (("rename" | "renameat" | "renameat2" | "link" | "linkat"), _):
                self._name(place, name, call)

    def _name(self, old: "DiskFolder", name: str, call: DiskCall) -> None:
        new, to = self._folder(PurePath(call.paths[1]).parent), PurePath(call.paths[1]).name
        gone = {} if call.name.startswith("link") else {name: new.now.get(to)}
        if "RENAME_EXCHANGE" not in call.words:
            gone = dict.fromkeys(gone)
        if old is new:
            old.change({**gone, to: old.now[name]})
        else:
            new.change({to: old.now[name]})
            old.change(gone)

    def _folder(self, path: PurePath) -> "DiskFolder":
        node: Node = self
        for name in path.parts:
            assert isinstance(node, DiskFolder), path
            node = node.now[name]
        assert isinstance(node, DiskFolder), path
        return node

    def change(self, names: dict[str, "Node | None"]) -> None:
        """Change names in one step."""
        self.waiting.append(names)
        _rename(self.now, names)

    def unsynced(self) -> int:
        """Return of about how many changes each may be lost on its own."""
        return len(self.waiting) + sum(node.unsynced() for node in self._nodes())

    def _nodes(self) -> "Iterator[Node]":
        yield from {id(node): node for names in (self.safe, self.now) for node in names.values()}.values()

    def sync(self) -> None:
        """Make all names safe."""
        for names in self.waiting:
            _rename(self.safe, names)
        self.waiting.clear()

    def sync_all(self) -> None:
        """Make all that is below safe, too."""
        for node in self._nodes():
            node.sync_all() if isinstance(node, DiskFolder) else node.sync()
        self.sync()

    def left(self, choose: Choice) -> Image:
        """Return what the disk may hold after the cut."""
        return dict(self._left(choose, "", {}))

    def _left(
        self, choose: Choice, above: str, files: dict[int, bytes]
    ) -> Iterator[tuple[str, bytes | None]]:
        found = dict(self.safe)
        for names in self.waiting:
            if choose.keeps(choose.names):
                _rename(found, names)
            elif choose.is_in_order:
                break
        for name, node in sorted(found.items(), key=lambda one: one[0]):
            if isinstance(node, DiskFolder):
                yield above + name, None
                yield from node._left(choose, f"{above}{name}/", files)
            else:  # a file may have two names
                if id(node) not in files:
                    files[id(node)] = node.left(choose)
                yield above + name, files[id(node)]


def _rename(names: dict[str, "Node"], change: dict[str, "Node | None"]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


Node: TypeAlias = DiskFile | DiskFolder
