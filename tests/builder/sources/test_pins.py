from dataclasses import replace

import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.oci.digest import Digest
from pybuild.builder.plan.ops import Git, Http
from pybuild.builder.progress import StepFinished, StepStarted
from pybuild.builder.reporter import Reporter
from pybuild.builder.request import Execution
from pybuild.builder.sources.address import GitSource, HttpSource, parse
from pybuild.builder.sources.pins import Remotes, is_pin, pin_name, pin_of
from tests.helpers.web import MTIME, Answer

REQUEST = Execution()


@pytest.fixture
def remotes(store):
    return Remotes(REQUEST, store)


def source_of(text):
    source = parse(text)
    assert source is not None
    return source


def test_a_file_is_pinned_by_its_digest_and_time(remotes, web):
    web.files["/a.txt"] = b"x"
    source = source_of(web.url("/a.txt"))
    op = remotes.pin(source)
    assert op == Http(digest=str(Digest.of(b"x")), name="a.txt", mtime=MTIME, url=web.url("/a.txt"))
    assert pin_of(op) == f"{op.digest} {MTIME}"


def test_each_address_is_asked_for_once(remotes, web):
    web.files["/a"] = b"x"
    source = source_of(web.url("/a"))
    assert remotes.pin(source) == remotes.pin(source)
    renamed = remotes.pin(HttpSource(url=web.url("/a"), name="b"))
    assert renamed == replace(remotes.pin(source), name="b")
    assert len(web.requests) == 1


def test_a_failure_is_remembered_too(remotes, web):
    source = source_of(web.url("/nothing"))
    for _ in range(2):
        with pytest.raises(BuildError, match="status 404"):
            remotes.pin(source)
    assert len(web.requests) == 1


def test_all_are_asked_for_at_once_and_each_failure_is_told_where_it_belongs(remotes, web):
    web.files |= {f"/{number}": b"x" for number in range(6)}
    sources = [source_of(web.url(f"/{number}")) for number in range(6)]
    missing = source_of(web.url("/nothing"))
    remotes.pin_all([*sources, missing])
    assert len(web.requests) == 7
    assert {remotes.pin(source).url for source in sources} == {source.label for source in sources}
    with pytest.raises(BuildError, match="status 404"):
        remotes.pin(missing)


def test_a_known_checksum_and_a_full_commit_are_pinned_without_a_question(store, web):
    web.files["/a"] = b"x"
    digest = str(Digest.of(b"x"))
    source = HttpSource(url=web.url("/a"), checksum=digest)
    Remotes(REQUEST, store).pin(source)
    web.taken()
    assert pin_of(Remotes(REQUEST, store).pin(source)) == f"{digest} {MTIME}"
    commit = "1" * 40
    assert Remotes(REQUEST, store).pin(GitSource(url=web.url("/x.git"), ref=commit)) == Git(
        commit=commit, url=web.url("/x.git")
    )
    assert web.requests == []
    assert pin_name(source) == ""
    assert pin_name(GitSource(url="u", ref=commit)) == ""


def test_a_repository_is_pinned_by_its_commit(remotes, repository, served):
    commit = repository.commit({"a": "1"})
    repository.tag("v1", annotated=True)
    op = remotes.pin(source_of(f"{served}/x.git#v1:sub"))
    assert op == Git(commit=commit, subdir="sub", url=f"{served}/x.git", ref="refs/tags/v1")
    kept = remotes.pin(source_of(f"{served}/x.git?tag=v1&keep-git-dir=1"))
    assert isinstance(kept, Git)
    assert kept.tag == "refs/tags/v1"


def test_the_checksum_of_a_repository_is_that_of_its_commit_or_tag(remotes, repository, served):
    commit = repository.commit({"a": "1"})
    tag = repository.tag("v1", annotated=True)
    for checksum in (commit, commit[:8], tag[:10]):
        assert pin_of(remotes.pin(GitSource(url=f"{served}/x.git", ref="v1", checksum=checksum))) == commit
    with pytest.raises(BuildError, match=f"expected checksum to match abcdef, got {commit}"):
        remotes.pin(GitSource(url=f"{served}/x.git", ref="v1", checksum="abcdef"))


def test_a_pin_holds_until_something_changes(store, web, repository, served):
    web.files["/a"] = b"x"
    repository.commit({"a": "1"})
    sources = [source_of(web.url("/a")), source_of(f"{served}/x.git"), source_of(f"{served}/x.git#main")]
    pins = [(pin_name(source), pin_of(Remotes(REQUEST, store).pin(source))) for source in sources]
    assert all(is_pin(name) for name, _ in pins)
    assert all(Remotes(REQUEST, store).holds(*pin) for pin in pins)
    web.files["/a"] = b"y"
    repository.commit({"a": "2"})
    assert not any(Remotes(REQUEST, store).holds(*pin) for pin in pins)


def test_a_pin_that_cannot_be_asked_for_does_not_hold(store, web):
    web.answers["/a"] = Answer(status=404)
    assert not Remotes(REQUEST, store).holds(f"http {web.url('/a')}", "x")
    assert not is_pin("docker.io/library/http:latest")


def test_questions_are_shown_as_steps(store, web):
    web.files["/a"] = b"x"
    events = []
    Remotes(REQUEST, store, Reporter(events.append)).pin(source_of(web.url("/a")))
    assert [event.name for event in events if isinstance(event, StepStarted)] == [
        f"[internal] load metadata for {web.url('/a')}"
    ]
    assert [event.error for event in events if isinstance(event, StepFinished)] == [""]
