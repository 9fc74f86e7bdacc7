import gzip
import threading
from types import SimpleNamespace

import pytest

from pybuild.builder.oci.blobs import BlobStore
from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import DigestMismatch, OciError, RegistryError, RegistryUnavailable, SizeMismatch
from pybuild.builder.oci.registry import web as module
from pybuild.builder.oci.registry.web import REDIRECTS, WebRequest, download
from pybuild.builder.oci.registry.wire.retry import Retry
from tests.helpers.web import Answer, Web

ONCE = Retry(attempts=1)


@pytest.fixture
def blobs(tmp_path):
    return BlobStore(tmp_path / "store")


@pytest.fixture
def web():
    with Web() as server:
        server.files["/a"] = b"content"
        yield server


def get(blobs, url, **wanted):
    return download(WebRequest(url=url, **wanted), blobs, retry=ONCE)


def content(blobs, done):
    assert done is not None
    with blobs.open(done.digest) as file:
        return file.read()


def moved(location, status=302):
    return Answer(status=status, headers={"Location": location})


def nothing_stored(blobs):
    return list(blobs.digests()) == [] and not list((blobs.root / "tmp").glob("*"))


def test_a_file_is_stored_under_its_digest(blobs, web):
    seen = []
    done = download(WebRequest(url=web.url("/a")), blobs, lambda *sizes: seen.append(sizes), ONCE)
    assert done is not None
    assert (done.digest, done.size) == (Digest.of(b"content"), 7)
    assert content(blobs, done) == b"content"
    assert seen[-1] == (7, 7)


def test_a_server_that_is_asked_again_need_not_send_what_did_not_change(blobs, web):
    first = get(blobs, web.url("/a"))
    assert get(blobs, web.url("/a"), etag=first.etag, last_modified=first.last_modified) is None
    web.files["/a"] = b"other"
    assert content(blobs, get(blobs, web.url("/a"), etag=first.etag)) == b"other"


def test_not_modified_is_no_answer_to_a_question_that_had_no_condition(blobs, web):
    web.answers["/a"] = Answer(status=304)
    with pytest.raises(RegistryError, match="status 304"):
        get(blobs, web.url("/a"))


def test_what_is_not_expected_is_not_stored(blobs, web):
    with pytest.raises(DigestMismatch):
        get(blobs, web.url("/a"), expected=Digest.of(b"else"))
    assert nothing_stored(blobs)
    assert get(blobs, web.url("/a"), expected=Digest.of(b"content")) is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(blobs, web, status):
    web.answers["/b"] = moved("/a", status)
    assert content(blobs, get(blobs, web.url("/b"))) == b"content"


def test_redirects_come_to_an_end(blobs, web):
    for number in range(REDIRECTS + 1):
        web.answers[f"/r{number}"] = moved(f"/r{number + 1}")
    web.files[f"/r{REDIRECTS + 1}"] = b"x"
    with pytest.raises(RegistryError, match=f"more than {REDIRECTS} redirects"):
        get(blobs, web.url("/r0"))
    assert content(blobs, get(blobs, web.url("/r1"))) == b"x"


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "//", "http://", "http://[", "\x9b://x"],
)
def test_a_redirect_leads_to_the_web_and_nowhere_else(blobs, web, target):
    web.answers["/b"] = moved(target)
    with pytest.raises(RegistryError):
        get(blobs, web.url("/b"))
    assert nothing_stored(blobs)


def test_a_redirect_that_says_no_place_is_an_error(blobs, web):
    web.answers["/b"] = Answer(status=302)
    with pytest.raises(RegistryError, match="without a location"):
        get(blobs, web.url("/b"))


def test_a_redirect_does_not_lead_from_https_to_http():
    reply = SimpleNamespace(headers={"Location": "http://h.invalid/x"})
    with pytest.raises(RegistryError, match="not encrypted"):
        module._target("https://h.invalid/x", reply)


@pytest.mark.parametrize("place", ["http://169.254.169.254/latest/meta-data", "http://[fe80::1]/x"])
def test_nobody_leads_to_the_address_where_clouds_keep_their_keys(blobs, web, place):
    web.answers["/b"] = moved(place)
    with pytest.raises(RegistryError, match="an address of a private network"):
        get(blobs, web.url("/b"))


@pytest.fixture
def outside(monkeypatch):
    """Makes the server that is asked first one of the public network."""
    begin = module._Journey.__init__

    def from_outside(self, wanted, stack):
        begin(self, wanted, stack)
        self._began_private = False

    monkeypatch.setattr(module._Journey, "__init__", from_outside)
    monkeypatch.setattr(module._Journey, "_note", lambda _self, _peer: None)


@pytest.mark.parametrize("host", ["127.0.0.2", "localhost", "[::ffff:127.0.0.2]"])
def test_a_public_server_does_not_lead_to_this_machine(blobs, web, outside, host):
    with Web("127.0.0.2") as inside:
        web.answers["/b"] = moved(inside.url("/secret").replace("127.0.0.2", host))
        with pytest.raises(RegistryError, match="an address of a private network"):
            get(blobs, web.url("/b"))
        assert inside.requests == []


def test_it_is_the_address_of_the_connection_that_counts(blobs, web, outside, monkeypatch):
    # As if it were a name of the public network that stands for this machine.
    monkeypatch.setattr("pybuild.builder.oci.registry.wire.origin.Origin.is_private", property(lambda _origin: False))
    with Web("127.0.0.2") as inside:
        web.answers["/b"] = moved(inside.url("/secret"))
        with pytest.raises(RegistryError, match=r"redirects to 127\.0\.0\.2"):
            get(blobs, web.url("/b"))
        assert inside.requests == [], "nothing was asked before the address was known"


def test_a_private_server_may_lead_to_another_one(blobs, web):
    with Web("127.0.0.2") as other:
        other.files["/a"] = b"other"
        web.answers["/b"] = moved(other.url("/a"))
        assert content(blobs, get(blobs, web.url("/b"))) == b"other"


def test_credentials_go_to_the_place_that_was_named_and_no_further(blobs, web):
    with Web("127.0.0.2") as other:
        other.files["/a"] = b"other"
        web.answers["/b"] = moved(other.url("/a"))
        get(blobs, web.url("/b"), authorization="Bearer word")
        assert web.requests[0].headers["Authorization"] == "Bearer word"
        assert "Authorization" not in other.requests[0].headers
    assert "word" not in repr(WebRequest(url="u", authorization="Bearer word"))


@pytest.mark.parametrize(
    "answer",
    [Answer(body=b"x" * 100), Answer(body=b"x", length=1000), Answer(body=b"x" * 100, length=-1)],
)
def test_more_than_the_limit_is_not_stored(blobs, web, answer):
    web.answers["/big"] = answer
    with pytest.raises(SizeMismatch, match="permitted"):
        get(blobs, web.url("/big"), limit=10)
    assert nothing_stored(blobs)


def test_a_body_that_ends_early_is_not_stored(blobs, web):
    web.answers["/cut"] = Answer(body=b"x", length=10)
    with pytest.raises(RegistryUnavailable):
        get(blobs, web.url("/cut"))
    assert nothing_stored(blobs)


def test_a_failure_that_may_pass_is_tried_again(blobs, web):
    web.answers["/a"] = Answer(status=503, headers={"Retry-After": "0"})
    retry = Retry(pause=lambda _event, _seconds: web.answers.clear())
    assert content(blobs, download(WebRequest(url=web.url("/a")), blobs, retry=retry)) == b"content"


@pytest.mark.parametrize(
    ("status", "hint"), [(404, ""), (401, "HTTP_AUTH_TOKEN_"), (403, "HTTP_AUTH_TOKEN_"), (204, "")]
)
def test_any_other_status_is_an_error(blobs, web, status, hint):
    web.answers["/a"] = Answer(status=status)
    with pytest.raises(RegistryError, match=f"status {status}") as caught:
        get(blobs, web.url("/a"))
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("encoding", "stored"),
    [("gzip", b"plain, twice"), ("GZip", b"plain, twice"), ("x-gzip", None), ("identity", None), ("deflate", None)],
)
def test_gzip_alone_is_taken_off_on_the_way(blobs, web, encoding, stored):
    body = gzip.compress(b"plain") + gzip.compress(b", twice")
    web.answers["/z"] = Answer(body=body, headers={"Content-Encoding": encoding})
    assert content(blobs, get(blobs, web.url("/z"))) == (body if stored is None else stored)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"plain", "no gzip data"),
        (gzip.compress(b"x")[:-1], "ends in the middle"),
        (gzip.compress(bytes(5000)), "more than 4999 bytes"),
    ],
    ids=["plain", "cut", "large"],
)
def test_a_damaged_or_too_large_compressed_body_is_an_error(blobs, web, body, message):
    web.answers["/z"] = Answer(body=body, headers={"Content-Encoding": "gzip"})
    with pytest.raises(OciError, match=message):
        get(blobs, web.url("/z"), limit=4999)
    assert nothing_stored(blobs)


def test_a_download_can_be_stopped(blobs, web):
    stop = threading.Event()
    stop.set()
    with pytest.raises(OciError, match="cancelled"):
        download(WebRequest(url=web.url("/a")), blobs, retry=ONCE, stop=stop)
    assert nothing_stored(blobs)


def test_no_name_of_the_server_is_used(blobs, web):
    web.answers["/n"] = Answer(body=b"x", headers={"Content-Disposition": 'attachment; filename="../../x"'})
    done = get(blobs, web.url("/n"))
    assert content(blobs, done) == b"x"
    assert not (blobs.root.parent / "x").exists()
