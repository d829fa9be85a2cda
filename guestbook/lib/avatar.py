"""Small drawn faces, as SVG: each number has its own, always the same. Pure."""

import re
from typing import Final

FACE_ID = re.compile("[0-9a-f]{16}")

# All of one luminance, 0.215. So each has a contrast of at least 3 to white, to black and to all backgrounds.
FACE_COLORS: Final = (
    *("#e54848", "#d05f1e", "#a77818", "#848413", "#499115", "#15917c"),
    *("#178ca3", "#1f83db", "#6177e8", "#9b63e9", "#c941e4", "#e234ae"),
)
# Paths on a square of 40 × 40.
HEADS: Final = (
    "M20 9a14.5 14.5 0 1 0 .1 0z",
    "M11 9h18q6 0 6 6v17q0 6-6 6H11q-6 0-6-6V15q0-6 6-6z",
    "M20 8c8 0 13 8 13 16s-5 14-13 14S7 32 7 24 12 8 20 8z",
    "M6 38V23a14 14 0 0 1 28 0v15l-4.7-3.5L24.6 38 20 34.5 15.4 38l-4.7-3.5z",
    "M13 9h14q2 0 3 2l6 11q1 2 0 4l-5 10q-1 2-3 2H12q-2 0-3-2L4 26q-1-2 0-4l6-11q1-2 3-2z",
    "M13 9h14q7 0 8 11c1 13-5 18-15 18S4 33 5 20Q6 9 13 9z",
)
HATS: Final = (
    "M7 17 6 3l11 7zM33 17l1-14-11 7z",  # a cat's ears
    "M9.5 4a5.5 5.5 0 1 0 .1 0zM30.5 4a5.5 5.5 0 1 0 .1 0z",
    "M12.5 1a2.5 2.5 0 1 0 .1 0zM27.5 1a2.5 2.5 0 1 0 .1 0zM11.8 5h1.4l4 7h-2zM28.2 5h-1.4l-4 7h2z",
    "M14 12q-3-7 4-11-1 4 1 5 1-3 6-4-2 4 2 10z",
    "M8 11V8h5V0h14v8h5v3z",
    "M10 13V2l5 5 5-6 5 6 5-5v11z",
    "M20 0a5.5 5.5 0 1 0 .1 0z",
    "M12 13 20 0l8 13z",
)
EYES: Final = (
    "M13.9 21h.2M25.9 21h.2",
    "M11 22q3-4 6 0M23 22q3-4 6 0",
    "M11 20q3 4 6 0M23 20q3 4 6 0",
    "M14 19v4M26 19v4",
    "M13.9 21h.2M23 21h6",
    "M14 18a3 3 0 1 0 .1 0zM26 18a3 3 0 1 0 .1 0z",
    "M11 22l3-3 3 3M23 22l3-3 3 3",
    "M20 16a4.5 4.5 0 1 0 .1 0zM20 20.5h.1",
)
MOUTHS: Final = (
    "M14 28q6 7 12 0",
    "M17 29.5q3 3 6 0",
    "M14 28h12q-1 6-6 6t-6-6z",
    "M16 30h8",
    "M15 30q6 2 10-2",
    "M20 28a2.5 2.5 0 1 0 .1 0z",
    "M14 29q3 4 6 0 3 4 6 0",
    "M14 28h12v1q0 5-6 5t-6-5zM20 28v5",
)
CHEEKS: Final = ("", "M9.5 27h.1M30.5 27h.1", "M20 24v1", "M8 26l3 .5M8 29.5l3-.5M32 26l-3 .5M32 29.5l-3-.5")


def svg(face_id: str) -> str:
    """Return the face of 16 hexadecimal digits, in less than 600 bytes, without a style."""
    number = int(face_id, 16)
    chosen = []
    for parts in (FACE_COLORS, HEADS, HATS, EYES, MOUTHS, CHEEKS):
        number, index = divmod(number, len(parts))
        chosen.append(parts[index])
    color, head, hat, eyes, mouth, cheeks = chosen
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40">'
        f'<g fill="{color}"><path d="{head}"/><path d="{hat}"/></g>'
        '<path fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"'
        f' d="{eyes}{mouth}{cheeks}"/></svg>'
    )
