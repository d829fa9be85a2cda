"""How long work says how far it is: a command shows a bar, others show nothing."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Step = Callable[[int], None]  # called with how much more is done
Progress = Callable[[str, int], AbstractContextManager[Step]]  # given what is done, and how much


@contextmanager
def in_silence(_label: str, _length: int) -> Iterator[Step]:
    """Show no progress."""
    yield lambda _number: None
