"""Compressed parts are one compressed text."""

import gzip

from hypothesis import given
from hypothesis import strategies as st

from guestbook.web.kept_front_page import GzipParts


@given(st.binary(), st.lists(st.binary(), min_size=1), st.binary())
def test_it_is_the_whole_text(beginning: bytes, middles: list[bytes], end: bytes) -> None:
    parts = GzipParts(beginning, end, 5)
    for middle in middles:
        assert gzip.decompress(parts.around(middle)) == beginning + middle + end


def test_it_is_small() -> None:
    beginning, end = b"All that is said again. " * 400, b" And again." * 400
    size = len(GzipParts(beginning, end, 5).around(b"a token"))
    assert size < len(gzip.compress(beginning + b"a token" + end, 5)) + 80
