"""The limits of a template: steps, which each operation pays for first, and characters."""

from typing import Any

TEMPLATE_STEPS = 100_000  # of a run: one for each evaluated part of the template and each item read
OUTPUT_LIMIT = 64_000  # characters that it may give, and that any text that it makes may have
PER_STEP = 20  # characters that are read or made in one step
SLOW_SEARCH = 30_000  # characters: in longer texts Python searches in another way, which is always quick
PAIRS_PER_STEP = 4000  # characters that are compared with one another in one step
VALUE_DEPTH = 50  # of lists in lists that are printed or compared
BITS = 64  # of a whole number that it counts with


class TemplateFault(Exception):
    """Why a template cannot be used, or failed over this event, in one sentence."""


class Missing:
    """A value that the event does not have. It prints as nothing and counts as false."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "Undefined"

    def fault(self) -> TemplateFault:
        """Return what is wrong with a template that goes on with it."""
        return TemplateFault(
            f"The template asks for what this event does not have: {self.name[:100]!r} is undefined."
        )


class StepBudget:
    """The steps that a run has left."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = TEMPLATE_STEPS

    def spend(self, steps: int) -> None:
        """Take so many steps; raises TemplateFault when there are too few."""
        self.left -= steps
        if self.left < 0:
            raise TemplateFault(
                f"The template does too much with this event: more than {TEMPLATE_STEPS:,} steps."
            )

    def read(self, characters: int) -> None:
        """Read so many characters."""
        self.spend(characters // PER_STEP)

    def search(self, whole: str, part: str) -> None:
        """Look for a text in a text: Python may compare each letter of the one with each of the other."""
        self.read(len(whole))
        self.spend(min(len(whole), SLOW_SEARCH) * min(len(part), len(whole)) // PAIRS_PER_STEP)

    def room(self, characters: int) -> None:
        """Make a text of so many characters."""
        self.limit(characters)
        self.read(characters)

    def limit(self, characters: int) -> None:
        """Refuse a text of so many characters when it is too long."""
        if characters > OUTPUT_LIMIT:
            raise TemplateFault(f"The template makes more than {OUTPUT_LIMIT:,} characters.")

    def made(self, text: str) -> str:
        """Return a text that was made, where it could not be much longer than what was read."""
        self.room(len(text))
        return text

    def weigh(self, value: Any) -> int:
        """Read a value with all that is in it, as often as it is in it; return how many characters it has."""
        characters, todo = 0, [(value, 0)]
        while todo:
            one, depth = todo.pop()
            length = _length(one)
            self.spend(1 + length // PER_STEP)
            characters += length
            if isinstance(one, list | dict):
                if depth == VALUE_DEPTH:
                    raise TemplateFault(
                        f"The template prints or compares lists more than {VALUE_DEPTH} deep."
                    )
                self.spend(len(one))
                parts = [*one, *one.values()] if isinstance(one, dict) else one
                todo += [(part, depth + 1) for part in parts]
        return characters

    def text(self, value: Any) -> str:
        """Return a value as it is printed."""
        if isinstance(value, str):
            return value
        if isinstance(value, Missing):
            return ""
        self.room(self.weigh(value))
        return self.made(str(value))


def _length(value: Any) -> int:
    """Return about how many characters a text or a number has; a list has two, besides what is in it."""
    if isinstance(value, str):
        return len(value)
    return value.bit_length() // 3 + 1 if isinstance(value, int) else 2
