"""The API's calls for sources and bins."""

from guestbook.web.api.api_call import Call
from guestbook.web.api.query_parameters import FULL_PAGE_QUERY, PAGE_QUERY

SOURCE_CALLS = {
    "GET /sources": Call("listSources", "List the sources", {200: "Sources"}, query=FULL_PAGE_QUERY),
    "POST /sources": Call("createSource", "Add a source", {201: "SourceWithSecret"}, body="NewSource"),
    "GET /sources/{source_id}": Call("getSource", "Show a source", {200: "Source"}),
    "PATCH /sources/{source_id}": Call(
        "updateSource",
        "Change a source; other fields stay",
        {200: "Source"},
        body="SourceChanges",
        may_match=True,
    ),
    "DELETE /sources/{source_id}": Call(
        "deleteSource", "Delete a source with all its events", {204: None}, may_match=True
    ),
    "POST /sources/{source_id}/test": Call(
        "testSource",
        "Send a sample event to a source, signed as its sender signs",
        {202: "InboundEvent"},
        body="SourceTest",
        needs_body=False,
    ),
    "POST /sources/{source_id}/rotate-secret": Call(
        "rotateSourceSecret",
        "Rotate the secret; the old one also counts for some hours",
        {200: "SourceWithSecret"},
        body="SourceRotation",
        needs_body=False,
    ),
    "POST /sources/{source_id}/reveal-secret": Call(
        "revealSourceSecret",
        "Show the secret of a source; it needs the owner's password",
        {200: "Secret"},
        (409, 429),
        body="Reveal",
    ),
    "GET /bins": Call("listBins", "List the bins", {200: "Bins"}, query=FULL_PAGE_QUERY),
    "POST /bins": Call("createBin", "Add a bin", {201: "Bin"}, body="NewBin"),
    "GET /bins/{bin_id}": Call("getBin", "Show a bin", {200: "Bin"}),
    "PATCH /bins/{bin_id}": Call(
        "updateBin", "Change a bin; other fields stay", {200: "Bin"}, body="BinChanges", may_match=True
    ),
    "DELETE /bins/{bin_id}": Call("deleteBin", "Delete a bin with its requests", {204: None}, may_match=True),
    "GET /bins/{bin_id}/requests": Call(
        "listBinRequests", "List the requests that a bin holds", {200: "BinRequests"}, query=PAGE_QUERY
    ),
    "DELETE /bins/{bin_id}/requests": Call("clearBin", "Delete the requests of a bin", {204: None}),
    "GET /bins/{bin_id}/requests/{request_id}": Call(
        "getBinRequest",
        "Show a request with its body, and check its signatures",
        {200: "BinRequestInFull"},
    ),
    "POST /bins/{bin_id}/requests/{request_id}/replay": Call(
        "replayBinRequest", "Send a request to another URL", {200: "Replayed"}, body="Replay"
    ),
}
