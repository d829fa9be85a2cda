"""Templates that would take for ever or all memory, each in a process that may have little of both.

`python -m tests.lib.template_sandbox.bombs` prints, as JSON, what became of each: a sentence, `""` for none,
`null` for a process that had to be killed.
"""

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

from guestbook.lib import template_sandbox

SECONDS = 1  # of CPU
MEMORY = 50 * 2**20

DOUBLED = "{% set a = [1] %}" + "{% set a = [a, a] %}" * 40
SAME = "{% set c = [1] %}" + "{% set c = [c, c] %}" * 40
MANY = "{% for one in event.words %}"
NO_TEMPLATE = {
    "a macro that calls itself": "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
    "a loop that calls itself": "{% for a in event.deep recursive %}{{ loop(a) }}{{ loop(a) }}{% endfor %}",
    "ranges": "{{ range(1000000000)|join }}",
    "powers of powers": "{{ 9 ** 9 ** 9 ** 9 }}",
}

# By the name of the bomb: the template, which sees `event`.
BOMBS = {
    **{
        f"a list of lists with {name}": f"{{{{ event.lists|{name} }}}}"
        for name in (
            *("string", "tojson", "replace('0', '1')", "upper", "trim", "join"),
            *("truncate(9)", "default(0)"),
        )
    },
    "a list of lists in an object": "{{ {'1': event.lists} }}",
    "a list of lists as a key": "{{ {event.lists: 1} }}",
    "doubled lists, compared": DOUBLED + SAME + "{{ a == c }}",
    "doubled lists, printed": DOUBLED + "{{ a }}",
    "doubled lists as JSON": DOUBLED + "{{ a|tojson }}",
    "a doubled text": "{% set a = 'x' %}" + "{% set a = a ~ a %}" * 40 + "{{ a|length }}",
    "a text that is added to itself": "{% set a = 'x' %}" + "{% set a = a + a %}" * 40 + "{{ a|length }}",
    "a text many times": "{{ 'x' * 1000000000 }}",
    "a list many times": "{{ ([0] * 1000000000)|length }}",
    "long numbers, multiplied": "{{ event.number * event.number }}",
    "long numbers, printed": MANY + "{{ event.number }}{% endfor %}",
    "loops in loops": MANY * 4 + "{% endfor %}" * 4,
    "loops in loops that print nothing": MANY + MANY + "{% set a = one|upper %}{% endfor %}{% endfor %}",
    "searching": MANY + "{% if 'b' in event.text %}{% endif %}{% endfor %}",
    "searching for what is nearly everywhere": "{% set a = event.text[:14000] ~ 'b' ~ event.text[:14000] %}"
    + MANY
    + "{% if a in event.text[:29999] %}{% endif %}{% endfor %}",
    "searching in a list": MANY + "{% if 'b' in event.words %}{% endif %}{% endfor %}",
    "stripping many characters": "{{ event.text.strip(event.text) }}",
    "splitting": MANY + "{% set a = event.text.split() %}{% endfor %}",
    "splitting at each letter": MANY + "{% set a = event.text.split('a') %}{% endfor %}",
    "splitting into lines": MANY + "{% set a = event.lines.splitlines() %}{% endfor %}",
    "replacing nothing": "{{ event.text|replace('', event.text[:1000]) }}",
    "joining with a long text": "{{ event.words|join(event.text[:60000]) }}",
    "joining a text's letters": "{{ event.text|join(event.text) }}",
    "letters that become longer": "{% set a = '🎈' %}" + "{% set a = a ~ a %}" * 14 + "{{ a|tojson }}",
    "slices": MANY + "{% set a = event.objects[:] %}{% endfor %}",
    "items": MANY + "{% set a = event.object.items() %}{% endfor %}",
    "all of a large event, printed": "{{ event }}",
    "all of a large event as JSON": "{{ event|tojson }}",
    "a deep event, printed": "{{ event.deep }}",
    "a deep event as JSON": "{{ event.deep|tojson }}",
    "a deep event, compared": "{{ event.deep == event.deep }}",
    "brackets": "{{ " + "(" * 3900 + "1" + ")" * 3900 + " }}",
    "lists in lists": "{{ " + "[" * 3900 + "]" * 3900 + " }}",
    "signs": "{{ " + "-" * 7900 + "1 }}",
    "nots": "{{ " + "not " * 1900 + "1 }}",
    "dots": "{{ event" + ".b" * 3900 + " }}",
    "filters of filters": "{{ event" + "|d" * 3900 + " }}",
    "sums of sums": "{{ 1" + "+1" * 3900 + " }}",
    "blocks in blocks": "{% if 1 %}" * 790,
    "choices in choices": "{{ " + "1 if 0 else " * 600 + "1 }}",
    "a number of many digits": "{{ " + "9" * 7900 + " }}",
    "a hexadecimal number of many digits": "{{ 0x" + "f" * 7900 + " }}",
}


def event() -> dict[str, Any]:
    """Return an event that is as large as a stranger can send, and worse."""
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    return {
        "text": "a" * 900_000,
        "lines": "ab\n" * 300_000,
        "number": 10**4000,
        "words": ["x" * 30] * 20_000,
        "objects": [{"x": number} for number in range(20_000)],
        "object": {str(number): number for number in range(20_000)},
        "lists": [[[]]] * 100_000,
        "deep": deep,
    }


def main() -> None:
    """Run them all."""
    values = {"event": event()}
    print(json.dumps({name: _run(template, values) for name, template in BOMBS.items()}))


def _run(template: str, values: dict[str, Any]) -> str | None:
    """Run one in a copy of this process; return its sentence, or None where it had to be killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        os.write(writing, _said(template, values).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read()
    return said if os.waitpid(child, 0)[1] == 0 else None


def _said(template: str, values: dict[str, Any]) -> str:
    try:
        template_sandbox.render(template, values)
    except template_sandbox.TemplateFault as fault:
        return str(fault)
    return ""


if __name__ == "__main__":
    sys.exit(main())
