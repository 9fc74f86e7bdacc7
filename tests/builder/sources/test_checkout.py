import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.plan.ops import Git as Op
from pybuild.builder.request.step_settings import HostInputs
from pybuild.builder.sources.checkout import Checkout, _move_into_place, _submodule_url
from pybuild.builder.sources.git import GitProgram
from tests.helpers.repositories import MOMENT, Repository


@pytest.fixture
def check_out(tmp_path):
    def made(url, commit, **op):
        scratch = tmp_path / f"scratch-{len(list(tmp_path.glob('scratch-*')))}"
        scratch.mkdir()
        program = GitProgram(HostInputs(), url)
        return Checkout(Op(commit=commit, url=url, **op), program, scratch).run()

    return made


def files(directory):
    return sorted(
        str(path.relative_to(directory))
        for path in directory.rglob("*")
        if not path.is_dir() and ".git/" not in f"{path}/"
    )


def test_a_commit_is_checked_out_with_its_time(repository, served, check_out):
    old = repository.commit({"a": "1", "d/b": "2"})
    repository.commit({"a": "changed"})
    directory, seconds = check_out(f"{served}/x.git", old)
    assert (directory / "a").read_text() == "1"
    assert files(directory) == ["a", "d/b"]
    assert seconds == MOMENT
    assert not (directory / ".git").exists()


def test_a_server_that_knows_no_short_ways_is_asked_for_everything(web, repository, check_out):
    old = repository.commit({"a": "1"})
    repository.commit({"a": "2"})
    for path in (path for path in repository.bare.rglob("*") if path.is_file()):
        web.files[f"/x.git/{path.relative_to(repository.bare)}"] = path.read_bytes()
    web.files["/x.git/info/refs"] = f"{repository.commit({})}\trefs/heads/main\n".encode()
    for path in (path for path in repository.bare.rglob("*") if path.is_file()):
        web.files[f"/x.git/{path.relative_to(repository.bare)}"] = path.read_bytes()
    directory, _ = check_out(web.url("/x.git"), old)
    assert (directory / "a").read_text() == "1"


def test_a_commit_that_is_not_there_is_an_error(repository, served, check_out):
    repository.commit({"a": "1"})
    with pytest.raises(BuildError, match=f"{'0' * 40}"):
        check_out(f"{served}/x.git", "0" * 40)


def test_the_git_directory_is_kept_when_it_is_asked_for_with_its_tag(repository, served, check_out):
    commit = repository.commit({"a": "1"})
    repository.tag("v1", annotated=True)
    directory, _ = check_out(f"{served}/x.git", commit, keep_git_dir=True, tag="refs/tags/v1")
    assert (directory / ".git" / "HEAD").read_text() == f"{commit}\n"
    assert (directory / ".git" / "refs" / "tags" / "v1").exists()
    assert not (directory / ".git" / "hooks").exists()
    assert not (directory / ".git" / "FETCH_HEAD").exists()


def test_submodules_are_checked_out_in_their_places(tmp_path, repository, served, check_out):
    inner = Repository(tmp_path / "served", "inner.git")
    deep = Repository(tmp_path / "served", "deep.git")
    deep_commit = deep.commit({"z": "deep"})
    inner.commit({"y": "inner"})
    inner_commit = inner.link("sub/deep", "../deep.git", deep_commit)
    repository.commit({"a": "1"})
    commit = repository.link("vendor/inner", f"{served}/inner.git", inner_commit)
    url = f"{served}/x.git"
    directory, _ = check_out(url, commit)
    assert files(directory) == [
        ".gitmodules", "a", "vendor/inner/.gitmodules", "vendor/inner/sub/deep/z", "vendor/inner/y",
    ]  # fmt: skip
    without, _ = check_out(url, commit, submodules=False)
    assert files(without) == [".gitmodules", "a"]


@pytest.mark.parametrize(
    "url", ["file:///etc", "/etc", "ext::sh -c id", "--upload-pack=x", "ssh://-oProxyCommand=id/x", "../../../../x"]
)
def test_a_submodule_comes_from_an_address_like_any_other(repository, served, check_out, url):
    commit = repository.link("sub", url, repository.commit({"a": "1"}))
    with pytest.raises(BuildError, match=r"unusable address|leaves the host"):
        check_out(f"{served}/x.git", commit)


def test_a_submodule_without_an_address_is_told(repository, served, check_out):
    commit = repository.link("sub", None, repository.commit({"a": "1"}))
    with pytest.raises(BuildError, match="no url found for submodule path 'sub'"):
        check_out(f"{served}/x.git", commit)


def test_submodules_in_submodules_come_to_an_end(repository, served, check_out):
    commit = repository.commit({"a": "1"})
    for _ in range(12):
        # The same path each time, so that every commit has the one before it as its only submodule.
        commit = repository.link("sub", None if (repository.tree / ".gitmodules").exists() else "../x.git", commit)
    with pytest.raises(BuildError, match="more than 10 deep"):
        check_out(f"{served}/x.git", commit)


def test_hooks_and_filters_of_a_repository_do_not_run(tmp_path, repository, served, check_out):
    canary = tmp_path / "canary"
    hooks = {"hooks/post-checkout": f"#!/bin/sh\ntouch {canary}\n"}
    attributes = {".gitattributes": "* filter=evil\n", ".gitconfig": f'[filter "evil"]\n smudge = touch {canary}\n'}
    commit = repository.commit({"a": "1"} | hooks | attributes)
    directory, _ = check_out(f"{served}/x.git", commit)
    assert (directory / "a").read_text() == "1"
    assert not canary.exists()


def test_a_link_in_the_place_of_a_submodule_is_not_followed(tmp_path, repository, served, check_out):
    outside = tmp_path / "outside"
    outside.mkdir()
    (repository.tree / "sub").symlink_to(outside)
    commit = repository.commit({})
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "sub").symlink_to(outside)
    moved = tmp_path / "moved"
    moved.mkdir()
    with pytest.raises(BuildError, match="submodule path 'sub/inner' is not a directory of the repository"):
        _move_into_place(moved, inside, "sub/inner")
    assert list(outside.iterdir()) == []
    assert check_out(f"{served}/x.git", commit)[0].joinpath("sub").is_symlink()


@pytest.mark.parametrize(
    ("parent", "url", "wanted"),
    [
        ("https://h.invalid/a/b.git", "../c.git", "https://h.invalid/a/c.git"),
        ("https://h.invalid/a/b.git", "../../c/d.git", "https://h.invalid/c/d.git"),
        ("https://h.invalid/a/b.git", "./c.git", "https://h.invalid/a/b.git/c.git"),
        ("git@h.invalid:a/b.git", "../c.git", "git@h.invalid:a/c.git"),
        ("https://h.invalid/a.git", "https://k.invalid/c.git", "https://k.invalid/c.git"),
        ("https://h.invalid/a.git", "git@k.invalid:c.git", "git@k.invalid:c.git"),
        ("http://10.0.0.1/a.git", "http://10.0.0.2/b.git", "http://10.0.0.2/b.git"),
    ],
)
def test_the_address_of_a_submodule_may_be_relative(parent, url, wanted):
    assert _submodule_url(parent, url) == wanted


@pytest.mark.parametrize(
    ("parent", "url", "message"),
    [
        ("https://h.invalid/a.git", "http://k.invalid/b.git", "not encrypted"),
        ("https://h.invalid/a.git", "git://k.invalid/b.git", "not encrypted"),
        ("https://h.invalid/a.git", "https://169.254.169.254/b.git", "private network"),
        ("https://h.invalid/a.git", "git@127.0.0.1:b.git", "private network"),
        ("https://h.invalid/a.git", "https://me:word@k.invalid/b.git", "must not contain"),
        ("https://h.invalid/a.git", "../../../b.git", "leaves the host"),
    ],
)
def test_a_repository_does_not_lead_to_weaker_or_private_places(parent, url, message):
    with pytest.raises(BuildError, match=message):
        _submodule_url(parent, url)
