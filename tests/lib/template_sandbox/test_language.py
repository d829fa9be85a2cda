"""Templates mean what they mean in Jinja, which is asked each time, as far as they are let through.

The rest is refused when it is saved, with what to write instead.
"""

import re
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from guestbook.lib import template_sandbox

VALUES: dict[str, Any] = {
    "name": "N",
    "p": {
        "a": "Hello World foo",
        "n": 3,
        "f": 2.567,
        "neg": -7,
        "l": ["b", "A", "c", "b"],
        "nums": [3, 1, 2, 1],
        "d": {"z": 1, "Y": "x"},
        "none": None,
        "t": True,
        "users": [{"name": "Zoë", "age": 3}, {"name": "ada", "age": 9}, {"name": "Bob", "age": 3}],
        "html": "<b>x & y</b> 'q' \"w\"",
        "items": "own",
        "e": "",
        "ms": "line one\nline two\r\nthree",
    },
}
EXPRESSIONS = """
p.a|upper ; p.a|lower ; p.a|replace('o','0') ; p.a|replace('','-') ; p.a|truncate(5)
p.a|truncate(8) ; p.a|truncate(8,true) ; p.a|truncate(9,false,'…',0) ; p.a|truncate(2,true,'')
p.a|length ; p.l|length ; p.x|length ; p.l|join(', ') ; p.l|first ; p.l|last ; p.e|first
p.d|tojson ; p.html|tojson ; 'Zoë 🎈'|tojson ; p.f|tojson ; p.none|tojson ; p.t|tojson
p.x|default('D') ; p.e|default('D') ; p.e|default('D',true) ; p.e|d('D',boolean=true) ; p.f|string
' x '|trim ; 'xxaxx'|trim('x') ; p.n+2 ; p.n*2.5 ; p.n/2 ; p.n//2 ; p.neg%3 ; -p.n ; 'a'+'b'
p.n~'x'~p.none~p.t~p.x ; p.n>2 ; 2<p.n<4 ; p.n==3.0 ; p.a=='x' ; p.a!='x' ; 'World' in p.a
'b' in p.l ; 'z' in p.d ; 'q' not in p.d ; p.x==p.y ; p.x ; p['a'] ; p['d']['z'] ; p.l[0] ; p.l[-1]
p.l[9] ; p.l[1:3] ; p.l[::-1] ; p.a[:4] ; p.a[-3:] ; p.d.get('z') ; p.d.get('q') ; p.d.get('q',7)
p.a.split() ; p.a.split(' ',1) ; p.a.split('o') ; p.ms.splitlines() ; p.ms.splitlines()|first
p.a.startswith('Hell') ; p.a.startswith(('x','Hell')) ; p.a.endswith('foo') ; p.a.strip()
p.a.upper() ; p is mapping ; p.a is string ; p.n is number ; p.t is number ; p.n is integer
p.t is integer ; p.t is boolean ; p.none is none ; p.x is defined ; p.x is undefined
p.l is sequence ; p.none is not none ; not p.x ; p.x or 'y' ; p.a and p.n ; 'a' if p.x
'a' if p.t else 'b' ; (p.x or {}).y or 'z' ; [1,'a',none,true,1.5,{'k':[1]}] ; p ; p.d|string
p.l|join(p.n) ; p.none|upper ; p.n|upper ; p.t|lower ; p.e|length ; 1_000 ; 1.5e3 ; 1e308*10
'a'~[1] ; p.users[0].name ; p.a.lower() ; p.n*2
"""
TEMPLATES = [
    "{% for u in p.users %}{{ loop.index }}{{ loop.last }}{{ u.name }},{% else %}none{% endfor %}",
    "{% for u in p.users if u.age == 3 %}{{ loop.index }}/{{ loop.length }}{{ u.name }}{% endfor %}",
    "{% for k, v in p.d.items() %}{{ k }}={{ v }};{% endfor %}",
    "{% set x = 1 %}{% for i in p.nums %}{% set x = i %}{% endfor %}{{ x }}",
    "{% if p.x %}a{% elif p.n == 3 %}b{% else %}c{% endif %}",
    "{% set a, b = [1,2] %}{{ b }}{{ a }}",
    "  {% if p.t %}\n  x\n  {%- endif %}\n y {{- p.n -}}  z",
    "{# c #}a{% raw %}{{ x }}{% endraw %}",
    "{% for c in p.a %}{{ c }}.{% endfor %}",
    "{% for i in p.nums %}{{ loop.previtem }}<{{ loop.nextitem }}{% endfor %}",
    "{% for i in p.l %}{% for j in p.nums %}{{ loop.index0 }}{% endfor %}{{ loop.revindex }}{% endfor %}",
    "{% if p.t %}{% set name = 'X' %}{% endif %}{{ name }}",
    "{{ name }}{% set name = 'Y' %}{{ name }}",
    "{% print p.n %}",
    "{% for i in p.x %}{{ i }}{% endfor %}",
    "{% set _p = 1 %}{{ _p }}",
]
ORACLE = SandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)


@pytest.mark.parametrize(
    "source", [*(f"{{{{ {one} }}}}" for one in re.split(" ; |\n", EXPRESSIONS.strip())), *TEMPLATES]
)
def test_a_template_gives_what_jinja_makes_of_it(source: str) -> None:
    assert template_sandbox.render(source, VALUES).text == ORACLE.from_string(source).render(VALUES)


def test_the_events_own_key_comes_before_a_method_of_that_name() -> None:
    assert template_sandbox.render("{{ p.items }}", VALUES).text == "own"


def test_names_that_are_set_at_the_top_are_handed_on() -> None:
    source = "{% if 1 %}{% set name = 'X' %}{% endif %}{% set _own = 1 %}"
    source += "{% for a in [1] %}{% set b = a %}{% endfor %}"
    assert template_sandbox.render(source, {}).names == {"name": "X"}


def test_a_list_that_holds_another_one_many_times_is_not_handed_on() -> None:
    source = "{% set a = ['x'] %}" + "{% set a = [a, a] %}" * 40 + "{% set name = a %}{% set b = 1 %}"
    assert template_sandbox.render(source, {}).names == {"b": 1}


@pytest.mark.parametrize(
    "source",
    [
        "{{ [event.get]|join }}",
        "{{ event.get }}{{ event.items }}{{ name.upper }}",
        "{{ event.append }}{{ name.format }}{{ event['get'] }}{{ [].append }}",
        "{{ loop }}{{ self }}{{ range }}{{ dict }}{{ cycler }}{{ lipsum }}{{ config }}{{ request }}",
    ],
)
def test_nothing_but_plain_values_can_be_reached(source: str) -> None:
    text = template_sandbox.render(source, {"event": {"a": 1}, "name": "N"}).text
    assert text == ""


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ q.r }}", "The template asks for what this event does not have: 'q' is undefined."),
        ("{{ q + 1 }}", "The template asks for what this event does not have: 'q' is undefined."),
        ("{{ q.strip() }}", "The template asks for what this event does not have: 'q' is undefined."),
        ("{{ q|tojson }}", "The template asks for what this event does not have: 'q' is undefined."),
        ("{% for x in p.n %}{% endfor %}", "The template goes through a number as if it were a list."),
        ("{{ p.l < 3 }}", "The template asks which is greater, a list or a number."),
        ("{{ p.none|length }}", "The template takes the length of nothing (none)."),
        ("{{ 'x' * 9 }}", "The template computes a text * a number."),
        ("{{ p.l + p.l }}", "The template computes a list + a list."),
        ("{{ '%9s' % 3 }}", "The template computes a text % a number."),
        ("{{ p.n.strip() }}", "The template calls strip() on a number."),
        ("{% set a, b = p.l %}", "The template unpacks 4 values into 2 names."),
        ("{{ p.__class__ }}", "The template asks for what templates cannot reach."),
        ("{{ ''.__class__.__mro__ }}", "The template asks for what templates cannot reach."),
        ("{{ p['__class__'] }}", "The template asks for what templates cannot reach."),
        ("{{ 1 / 0 }}", "The template failed: division by zero."),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(source: str, sentence: str) -> None:
    with pytest.raises(template_sandbox.TemplateFault) as raised:
        template_sandbox.render(source, VALUES)
    assert str(raised.value) == sentence


# --- what is refused


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
        ("{{ loop.cycle('a', 'b') }}", "Line 1: templates here cannot call 'cycle'. Use loop.index % 2."),
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
    with pytest.raises(template_sandbox.TemplateFault) as raised:
        template_sandbox.parse(source)
    said = str(raised.value)
    assert said.replace(" of the template", "", 1).startswith(sentence)
    assert said.endswith(".")
