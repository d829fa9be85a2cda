"""Read the Link header (RFC 8288). Pure."""

import re
from collections.abc import Iterator

# An address in angle brackets, and its parameters up to the comma before the next one.
VALUE = re.compile(r'<([^<>]*)>((?:[^,"]|"(?:[^"\\]|\\.)*"?)*)')
PARAMETER = re.compile(r';\s*([^\s=;,"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))')


def links(header: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each address and its relations in lower case, in the order of the header.

    Several headers are one, joined by commas.
    """
    for address, parameters in VALUE.findall(header):
        for name, quoted, bare in PARAMETER.findall(parameters):
            if name.lower() == "rel":  # the first of them counts
                yield address, frozenset((quoted or bare).lower().split())
                break
