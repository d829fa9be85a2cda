"""The calls in docs/howto/use-the-api.md work as they stand there."""

import json
import shlex

from tests.support.api_client import ApiClient
from tests.support.documents import blocks, read

STATUSES = [200, 201, 200, 201, 200, 202, 200]


def test_each_line_of_curl_works(program: ApiClient) -> None:
    [settings, *lines] = blocks(read("howto/use-the-api"), "sh")[1].splitlines()
    assert settings == "API=http://127.0.0.1:5000/api/v1 AUTH='Authorization: Bearer gbk_…'"
    assert [call(program, line) for line in lines] == STATUSES


def call(program: ApiClient, line: str) -> int:
    """Make the request that curl would: its address, `-H "$AUTH"` and `--json`."""
    [curl, url, *options] = shlex.split(line)
    assert curl == "curl"
    body = json.loads(options[options.index("--json") + 1]) if "--json" in options else None
    asking = program if "$AUTH" in options else ApiClient(program.app)
    return asking.ask("POST" if body else "GET", url.removeprefix("$API"), body).status_code
