"""Fuzz what strangers send: change inputs of a corpus, and go on with those that lead to new calls."""

import json
import logging
import math
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from random import Random
from types import FrameType

import click

CORPUS = Path(__file__).parents[1] / "tests/corpus"
NAMES = ("url", "answer", "page", "inbound", "template", "signature", "comments_file", "typed", "web")
SLOWEST, MOST_MEMORY, LONGEST = 3, 300_000, 300_000  # of an input: seconds of CPU, kB, bytes
LONGEST_KEPT = 4000  # bytes
FOLLOWED = 4  # One input of so many is watched, because that takes several times as long.


class Fuzzer:
    """Tries inputs on one parser. Of those with the same fault it keeps the shortest."""

    def __init__(self, name: str, seed: int, parse: Callable[[bytes], None]) -> None:
        self.name, self.parse, self.random = name, parse, Random(f"{name} {seed}")
        self.corpus = read(name)
        self.pieces = read("pieces")
        self.count, self.faults = 0, dict[str, bytes]()
        self.calls: set[tuple[int, int]] = set()
        signal.signal(signal.SIGPROF, lambda *_: sys.exit(f"more than {SLOWEST} seconds"))

    def run(self, *, seconds: float = math.inf, count: float = math.inf, faults: float = math.inf) -> None:
        """Try the corpus, then changed inputs: so many seconds, so many inputs, or until so many faults."""
        end = time.monotonic() + seconds
        for data in chain(list(self.corpus), iter(self.changed, None)):
            if time.monotonic() > end or self.count >= count or len(self.faults) >= faults:
                return
            known = len(self.calls)
            self.try_(data)
            if len(self.calls) > known and len(data) <= LONGEST_KEPT and data not in self.corpus:
                self.corpus.append(data)

    def try_(self, data: bytes) -> None:
        """Try one input, and note its fault."""
        self.count += 1
        before, fault = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, ""
        signal.setitimer(signal.ITIMER_PROF, SLOWEST)
        sys.settrace(None if self.count % FOLLOWED else self._follow)
        try:
            self.parse(data)
        except (Exception, SystemExit) as error:
            places = [
                one for one in traceback.extract_tb(error.__traceback__) if "site-packages" not in one[0]
            ]
            fault = f"{type(error).__name__} in {Path(places[-1][0]).name}, line {places[-1][1]}: {error}"
        finally:
            sys.settrace(None)
            signal.setitimer(signal.ITIMER_PROF, 0)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before > MOST_MEMORY:
            fault = f"more than {MOST_MEMORY} kB of memory"
        if fault and len(data) < len(self.faults.get(fault[:90], b"x" * LONGEST)):
            self.faults[fault[:90]] = data

    def changed(self) -> bytes:
        """Return an input of the corpus with some parts removed, repeated or replaced."""
        draw = self.random
        data = draw.choice(self.corpus)
        for _ in range(draw.choice((1, 1, 2, 3, 8))):
            start = draw.randrange(len(data) + 1)
            end = start + int(draw.expovariate(0.1))
            other = draw.choice(self.corpus)
            cut = draw.randrange(len(other) + 1)
            pieces = (b"", draw.choice(self.pieces), draw.randbytes(1), other[cut : cut + 40], other[cut:])
            repeated = data[start:end] * draw.choice((*(2, 3, 9) * 10, 40, 5000))
            piece = draw.choice((*pieces, repeated))
            data = (data[:start] + piece + data[draw.choice((start, end)) :])[:LONGEST]
        return data

    def _follow(self, frame: FrameType, _event: str, _value: object) -> None:
        """Note which function is called in which line of its caller; the interpreter calls this."""
        self.calls.add((id(frame.f_code), frame.f_back.f_lineno if frame.f_back else 0))


def read(name: str) -> list[bytes]:
    """Return the inputs for a parser, one a line."""
    lines = (CORPUS / f"{name}.jsonl").read_text().splitlines()
    return [json.loads(line).encode(errors="surrogateescape") for line in lines]


def written(data: bytes) -> str:
    """Return an input as a line of the corpus."""
    return json.dumps(data.decode(errors="surrogateescape"))


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="So many for each parser.")
@click.option("--seed", default=1, show_default=True, help="Draws the inputs.")
@click.option("--parser", multiple=True, type=click.Choice(NAMES), help="Only these.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    help="Write the corpus with the inputs that were kept to this folder.",
)
@click.option("--database", default="", help="The URL of an empty database, for the parser web.")
def fuzz(seconds: float, seed: int, parser: tuple[str, ...], keep: Path | None, database: str) -> None:
    """Give the parsers of what strangers send inputs that nobody thought of."""
    from tests.support.parsers import Parsers  # It imports the whole program.

    logging.disable()
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        parsers = Parsers(Path(folder), database)
        for name in parser or NAMES:
            one = Fuzzer(name, seed, getattr(parsers, name))
            one.run(seconds=seconds)
            click.echo(f"{name}: {one.count:,} inputs, {len(one.calls):,} calls, {len(one.faults)} faults")
            for fault, data in one.faults.items():
                click.echo(f"    {fault}\n    {written(data)}")
            if keep:
                (keep / f"{name}.jsonl").write_text("".join(f"{written(data)}\n" for data in one.corpus))
            count += len(one.faults)
    sys.exit(1 if count else 0)
