"""What templates here do not have is refused when it is saved, with what to write instead."""

import pytest

from guestbook.lib import template_sandbox


def fault(source: str) -> str:
    with pytest.raises(template_sandbox.TemplateFault) as raised:
        template_sandbox.parse(source)
    return str(raised.value)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (
            "{% macro who(x) %}{{ x }}{% endmacro %}{{ who(1) }}",
            "Line 1: templates here have no macro. Write what it gives where it is called, or set "
            "a name to a text.",
        ),
        (
            "\n{% filter upper %}x{% endfilter %}",
            "Line 2: templates here have no filter blocks. Write the filter behind each value: "
            "{{ x|upper }}.",
        ),
        (
            "{% for a in b|groupby('c') %}{% endfor %}",
            "Line 1: templates here have no filter 'groupby'. Use a loop: "
            "{% for one in list if one.name == 'x' %}.",
        ),
        (
            "{% for n in range(9) %}{% endfor %}",
            "Line 1: templates here cannot call 'range'. Go through a list of the event, and use loop.index.",
        ),
        (
            "{% for a in b recursive %}{% endfor %}",
            "Line 1: templates here have no recursive loops. Write one loop in the other.",
        ),
        (
            "{{ loop.cycle('a', 'b') }}",
            "Line 1: templates here cannot call 'cycle'. Use loop.index % 2.",
        ),
        ("{% include 'x' %}", "Line 1: templates here have no include. Write the other"),
        ("{% extends 'x' %}", "Line 1: templates here have no extends. Write the whole"),
        ("{% import 'x' as y %}", "Line 1: templates here have no import. "),
        ("{% block x %}{% endblock %}", "Line 1: templates here have no block. Leave the two"),
        ("{% call x() %}{% endcall %}", "Line 1: templates here have no call. "),
        ("{% set x.y = 1 %}", "Line 1: templates here have no namespace. Use loop.index"),
        ("{% autoescape true %}{% endautoescape %}", "Line 1: templates here have no autoescape. Leave it"),
        ("{{ x|nonsense }}", "Line 1: templates here have no filter 'nonsense'. There are d, default"),
        ("{% set x %}a{% endset %}", "Line 1: templates here have no set blocks. Set the name"),
        ("{% with x = 1 %}{% endwith %}", "Line 1: templates here have no with. Use {% set"),
        ("{{ x|e }}", "Line 1: templates here have no filter 'e'. Leave it out"),
        ("{{ x|sort }}", "Line 1: templates here have no filter 'sort'. There are d, default"),
        ("{{ 2 ** 3 }}", "Line 1: templates here have no pow."),
        ("{{ x is callable }}", "Line 1: templates here have no test 'callable'. There are "),
        ("{{ x.format(1) }}", "Line 1: templates here cannot call 'format'. Join the parts with ~"),
        ("{{ x() }}", "Line 1: templates here cannot call 'x'."),
        ("{{ x[0]() }}", "Line 1: templates here cannot call 'this'."),
        ("{{ x|replace('a') }}", "Line 1: the filter 'replace' is not used like that (missing a"),
        ("{{ x|upper(*y) }}", "Line 1: the filter 'upper' cannot take * or **. Write each"),
        ("{{ 99999999999999999999 }}", "Line 1: the number is too large."),
        ("{{ x", "Line 1: unexpected end of template"),
        ("x" * 8001, "A template has at most 8,000 characters."),
    ],
)
def test_what_is_refused_says_what_to_write_instead(source: str, sentence: str) -> None:
    said = fault(source)
    assert said.replace(" of the template", "", 1).startswith(sentence)
    assert said.endswith(".")
