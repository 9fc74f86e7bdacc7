import gzip
import hashlib
import json
import threading
from functools import partial

import pytest

from pybuild.builder.errors import BuildError, Cancelled
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Http
from pybuild.builder.request import Secret
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources import http
from pybuild.builder.sources.address import HttpSource
from pybuild.builder.sources.http import Fetching, ask, fetch_again, known_by_checksum
from pybuild.builder.sources.server_answers import KnownFile
from tests.helpers.registry import Answer as Said
from tests.helpers.registry import FakeRegistry
from tests.helpers.web import MTIME, Answer

CONTENT = str(Digest.of(b"content"))


@pytest.fixture
def asked(store, web):
    web.files["/a"] = b"content"

    def made(path="/a", checksum="", request=None):
        source = HttpSource(url=web.url(path), checksum=checksum)
        return ask(source, request or HostInputs(), store, Fetching())

    return made


def test_a_file_is_known_by_its_content_and_its_time(asked):
    known = asked()
    assert (known.digest, known.mtime) == (CONTENT, MTIME)


def test_the_second_question_brings_nothing_again(asked, web):
    first = asked()
    web.taken()
    assert asked() == first
    (again,) = web.taken()
    assert again.headers["If-None-Match"] == first.etag
    assert again.headers["If-Modified-Since"] == first.last_modified


def test_what_was_stored_compressed_by_an_earlier_version_is_asked_for_again(asked, web, store):
    answer = Answer(body=gzip.compress(b"content"), headers={"Content-Encoding": "gzip", "ETag": '"1"'})
    web.answers["/z"] = answer
    with store.blobs.writer("sha256") as writer:
        writer.write(answer.body)
        digest, _ = writer.commit(None)
    store.cache.put_download(web.url("/z"), json.dumps({"digest": str(digest), "etag": '"1"', "last_modified": ""}))
    assert asked("/z").digest == CONTENT
    assert "If-None-Match" not in web.requests[-1].headers


def test_a_file_that_changed_is_another_one(asked, web):
    asked()
    web.files["/a"] = b"other"
    assert asked().digest == str(Digest.of(b"other"))


def test_a_file_that_the_store_lost_is_asked_for_without_conditions(asked, web, store):
    known = asked()
    store.blobs.remove(Digest.parse(known.digest))
    web.taken()
    assert asked() == known
    assert "If-None-Match" not in web.requests[0].headers
    assert store.blobs.exists(Digest.parse(known.digest))


def test_a_known_checksum_needs_no_question(asked, web, store):
    source = HttpSource(url=web.url("/a"), checksum=CONTENT)
    assert known_by_checksum(source, store) is None
    known = asked()
    web.taken()
    assert known_by_checksum(source, store) == known
    assert web.requests == []
    store.blobs.remove(Digest.parse(CONTENT))
    assert known_by_checksum(source, store) is None


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_checksum_is_compared_with_what_comes(asked, algorithm):
    right = f"{algorithm}:{hashlib.new(algorithm, b'content').hexdigest()}"
    assert asked(checksum=right).digest == right
    wrong = f"{algorithm}:{hashlib.new(algorithm, b'else').hexdigest()}"
    with pytest.raises(BuildError, match="digest mismatch of http"):
        asked(checksum=wrong)


def test_a_secret_for_the_host_is_sent(asked, web, monkeypatch):
    monkeypatch.setenv("TOKEN", "word")
    secrets = (Secret(id="HTTP_AUTH_TOKEN_127.0.0.1", variable="TOKEN"),)
    asked(request=HostInputs(secrets=secrets))
    assert web.requests[0].headers["Authorization"] == "Bearer word"


def test_a_failure_names_the_address(asked, web):
    with pytest.raises(BuildError, match=r"failed to load http://127\.0\.0\.1:\d+/nothing: status 404$"):
        asked("/nothing")


def test_a_build_that_ends_stops_its_downloads(store, web):
    web.files["/a"] = b"content"
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        ask(HttpSource(url=web.url("/a")), HostInputs(), store, Fetching(stop=stop))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Fri, 13 Feb 2009 23:31:30 GMT", MTIME),
        ("Fri, 13 Feb 2009 23:31:30 -0000", MTIME),
        ("", 0),
        ("yesterday", 0),
        ("Thu, 01 Jan 1960 00:00:00 GMT", 0),
    ],
)
def test_a_file_is_as_old_as_its_server_says(text, seconds):
    assert KnownFile(digest="", last_modified=text).mtime == seconds


def test_content_that_is_gone_is_brought_again_if_it_still_is_the_same(asked, web, store):
    known = asked()
    op = Http(digest=known.digest, name="a", url=web.url("/a"))
    fetch_again(op, HostInputs(), store, Fetching())
    assert len(web.taken()) == 1
    store.blobs.remove(Digest.parse(known.digest))
    fetch_again(op, HostInputs(), store, Fetching())
    assert len(web.taken()) == 1
    store.blobs.remove(Digest.parse(known.digest))
    web.answers["/a"] = Answer(body=b"other")
    with pytest.raises(BuildError, match="digest mismatch"):
        fetch_again(op, HostInputs(), store, Fetching())


@pytest.mark.parametrize(("headers", "waits"), [({}, 3), ({"Retry-After": "9"}, 3), ({"Retry-After": "31"}, 0)])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_fails_is_asked_a_few_times_within_half_a_minute(store, monkeypatch, status, headers, waits):
    waited = []
    policy = partial(http.Retry, pause=lambda _stop, seconds: waited.append(seconds), clock=lambda: sum(waited))
    monkeypatch.setattr(http, "Retry", policy)
    with FakeRegistry() as server:
        for _ in range(9):
            server.answer("/f", Said(status=status, headers=headers, body=b""))
        with pytest.raises(BuildError, match=f"/f: status {status}") as caught:
            ask(HttpSource(url=f"{server.url}/f"), HostInputs(), store, Fetching())
    assert (len(waited), sum(waited) <= 30) == (waits, True)
    assert ("it asks to wait 31 s" in caught.value.hint) is (waits == 0)


def test_what_is_fetched_again_tells_of_its_waits_too(store, monkeypatch):
    told = []
    monkeypatch.setattr(http, "Retry", partial(http.Retry, pause=lambda _stop, _seconds: None))
    with FakeRegistry() as server:
        server.answer("/f", Said(status=503, headers={"Retry-After": "9"}, body=b""))
        server.answer("/f", Said(status=403, body=b""))
        op = Http(digest=CONTENT, name="f", url=f"{server.url}/f")
        with pytest.raises(BuildError, match="status 403"):
            fetch_again(op, HostInputs(), store, Fetching(tell=told.append))
    assert [text.partition(":")[0] for text in told] == ["waiting 9 s before attempt 2 of 4"]


def test_a_wait_is_told_in_the_words_of_the_server(store, monkeypatch):
    told = []
    monkeypatch.setattr(http, "Retry", partial(http.Retry, pause=lambda _stop, _seconds: None))
    with FakeRegistry() as server:
        server.answer("/f", Said(status=503, headers={"Retry-After": "9"}, body=b"<title>Maintenance</title>"))
        server.answer("/f", Said(status=403, body=b'{"message":"token expired"}'))
        source = HttpSource(url=f"{server.url}/f")
        with pytest.raises(BuildError, match=r"/f: status 403: token expired$"):
            ask(source, HostInputs(), store, Fetching(tell=told.append))
    (text,) = told
    assert text.startswith("waiting 9 s before attempt 2 of 4: ")
    assert text.endswith("/f: status 503: Maintenance")
