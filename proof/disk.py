"""A disk that loses its power: what a recorded program did to its files, and what may be left of it.

A file's data are safe once that file was synced, and a name once its folder was. All else may be dropped,
kept in another order, or torn at sectors. Real file systems keep more than that.
"""

import os
import struct
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from random import Random

SECTOR = 512  # bytes that a disk writes all or none of
HEAD = struct.Struct("=7Q")  # a record's kind, file, two numbers, the lengths of two names and of the data
MAPPED_FILES = ("-shm",)  # SQLite makes their content anew when it opens a book that nobody has open


@dataclass(frozen=True, slots=True)
class DiskCall:
    """One call that changed the disk, as proof/record_disk.c wrote it; of kind P it is a promise."""

    kind: str
    file: int
    number: int
    name: str
    other: str
    data: bytes


def read_log(path: Path) -> Iterator[DiskCall]:
    """Yield the calls of a log in their order."""
    text, at = path.read_bytes(), 0
    while at < len(text):
        kind, file, number, _, *lengths = HEAD.unpack_from(text, at)
        at += HEAD.size
        parts = []
        for length in lengths:
            parts.append(text[at : at + length])
            at += length
        yield DiskCall(chr(kind), file, number, os.fsdecode(parts[0]), os.fsdecode(parts[1]), parts[2])


@dataclass(slots=True)
class DiskFile:
    """What of a file is safe, and the writes and truncations since its last sync."""

    safe: bytearray
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)  # without data it is a new size

    def sync(self) -> None:
        """Make all that was written safe."""
        for at, data in self.waiting:
            _change(self.safe, at, data)
        self.waiting.clear()

    def left(self, choose: "Choice") -> bytes:
        """Return what the disk may hold after the cut."""
        found = bytearray(self.safe)
        for at, data in self.waiting:
            if data is None:
                if choose.keeps_data():
                    _change(found, at, None)
                continue
            for begin, end in choose.pieces(at, len(data)):
                if choose.keeps_data():
                    _change(found, at + begin, data[begin:end])
        return bytes(found)


def _change(content: bytearray, at: int, data: bytes | None) -> None:
    end = at if data is None else at + len(data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if data is None:
        del content[end:]
    else:
        content[at:end] = data


@dataclass(slots=True)
class Choice:
    """What survives one cut: shares of the unsynced data and names, drawn by seed."""

    random: Random
    data: float  # the share that is kept
    names: float
    is_torn: bool = True  # at sectors; else each write is kept whole or dropped
    is_in_order: bool = False  # names, as with a journal of the file system

    def keeps_data(self) -> bool:
        """Whether the next piece of data is kept."""
        return self.random.random() < self.data

    def keeps_name(self) -> bool:
        """Whether the next change of a name is kept."""
        return self.random.random() < self.names

    def pieces(self, at: int, length: int) -> Iterator[tuple[int, int]]:
        """Yield the begin and end of the pieces of a write that are kept or dropped on their own."""
        begin = 0
        while begin < length:
            end = min(length, begin + SECTOR - (at + begin) % SECTOR) if self.is_torn else length
            yield begin, end
            begin = end


def choices(random: Random) -> Iterator[Choice]:
    """Yield what may survive, the extremes first and then without end by chance."""
    for shares in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
        yield Choice(random, *shares)
    while True:
        shares = random.choice((0.1, 0.5, 0.9)), random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
        yield Choice(random, *shares, is_torn=random.random() < 0.7, is_in_order=random.random() < 0.5)


Entry = DiskFile | None  # None is a folder
NameChange = tuple[
    str, str, Entry, bool
]  # a name that goes, one that comes, for what, and whether that is one


@dataclass(slots=True)
class Disk:
    """The files of one folder while a program works."""

    files: dict[int, DiskFile] = field(default_factory=dict)  # by number; the latest of each number
    now: dict[str, Entry] = field(default_factory=dict)  # what the program sees
    safe: dict[str, Entry] = field(default_factory=dict)
    waiting: list[NameChange] = field(default_factory=list)

    @classmethod
    def of(cls, root: Path, numbers: dict[str, int]) -> "Disk":
        """Return a disk on which all of a folder is safe, with the number of each file by its name."""
        disk = cls()
        for path in sorted(root.rglob("*")):
            name = path.relative_to(root).as_posix()
            disk.safe[name] = None if path.is_dir() else DiskFile(bytearray(path.read_bytes()))
            if (file := disk.safe[name]) is not None:
                disk.files[numbers[name]] = file
        disk.now = copy(disk.safe)
        return disk

    def apply(self, call: DiskCall) -> None:
        """Do what the program did. Raise ValueError for a call that this does not understand."""
        match call.kind:
            case "C":
                self.files[call.file] = DiskFile(bytearray())
                self._name("", call.name, self.files[call.file])
            case "W":
                self.files[call.file].waiting.append((call.number, call.data))
            case "T":
                self.files[call.file].waiting.append((call.number, None))
            case "S" if call.name == "." or self.now.get(call.name, ...) is None:
                self._sync_folder(call.name)
            case "S":
                self.files[call.file].sync()
            case "R" | "L" if isinstance(file := self.now.get(call.name), DiskFile) and call.other:
                self._name(call.name if call.kind == "R" else "", call.other, file)
            case "U":
                self._name(call.name, "", None)
            case "M":
                self._name("", call.name, None)
            case "X" if call.name == "mmap" and call.other.endswith(MAPPED_FILES):
                pass
            case "P":
                pass
            case _:
                raise ValueError(f"the disk does not know {call.kind} of {call.name} {call.other}")

    def _name(self, gone: str, come: str, entry: Entry) -> None:
        change = (gone, come, entry, bool(come))
        self.waiting.append(change)
        _rename(self.now, change)

    def _sync_folder(self, name: str) -> None:
        late = []
        for change in self.waiting:
            if _folder(change[1] or change[0]) == name:
                _rename(self.safe, change)
            else:
                late.append(change)
        self.waiting = late

    def left(self, choose: Choice) -> dict[str, bytes | None]:
        """Return what the disk may hold after the cut; a folder has no content."""
        found = copy(self.safe)
        for change in self.waiting:
            if choose.keeps_name():
                _rename(found, change)
            elif choose.is_in_order:
                break
        contents = {id(file): file.left(choose) for file in found.values() if file is not None}
        return {
            name: None if file is None else contents[id(file)]
            for name, file in sorted(found.items())
            if all(str(parent) in found for parent in PurePosixPath(name).parents if str(parent) != ".")
        }


def _rename(names: dict[str, Entry], change: NameChange) -> None:
    gone, come, entry, is_new = change
    if gone:
        names.pop(gone, None)
    if is_new:
        names[come] = entry


def _folder(name: str) -> str:
    return PurePosixPath(name).parent.as_posix()
