"""Faces are small and valid SVG without a style, and can be seen on every background of the book."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, strategies as st

import guestbook
from guestbook.lib import avatar

STATIC = Path(guestbook.__file__).parent / "static"
FACE_IDS = st.integers(0, 2**64 - 1).map("{:016x}".format)
PLACES = ("background", "success-background")  # what a comment stands on
MOST_BYTES = 600
PATH = re.compile(r"M[\d .,MLHVQTACSZmlhvqtacsz-]+")


def luminance(color: str) -> float:
    """As in WCAG 2."""
    parts = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lower, higher = sorted((luminance(one), luminance(other)))
    return (higher + 0.05) / (lower + 0.05)


def backgrounds() -> dict[str, str]:
    """Where each background of a comment comes from, and its colour."""
    names = "|".join(PLACES)
    found = {
        f"{path.name} {name} {scheme}": color
        for path in STATIC.glob("*.css")
        for name, *pair in re.findall(rf"--({names}): light-dark\((#\w{{6}}), (#\w{{6}})\)", path.read_text())
        for scheme, color in zip(("light", "dark"), pair, strict=True)
    }
    assert len(found) >= 5 * len(PLACES) * 2
    return found


@given(FACE_IDS)
def test_each_is_valid_and_small_and_the_same_each_time(face_id: str) -> None:
    svg = avatar.svg(face_id)
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {one.tag.partition("}")[2] for one in root.iter()} == {"svg", "g", "path"}
    assert not {"style", "class", "onload", "href"} & {name for one in root.iter() for name in one.attrib}
    assert all(PATH.fullmatch(one.attrib["d"]) for one in root.iter() if "d" in one.attrib)
    assert len(svg.encode()) <= MOST_BYTES
    assert avatar.svg(face_id) == svg


@pytest.mark.parametrize("color", avatar.FACE_COLORS)
def test_a_color_has_enough_contrast_on_every_background(color: str) -> None:
    weak = {place: round(contrast(color, other), 2) for place, other in backgrounds().items()}
    assert {place: ratio for place, ratio in weak.items() if ratio < 3} == {}
    assert contrast(color, "#ffffff") >= 3  # of the eyes and the mouth, and on a printed page
    assert contrast(color, "#000000") >= 3  # where the reader has forced colours
