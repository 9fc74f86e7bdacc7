import pytest

from pybuild.builder.errors import StepFailed
from tests.builder.execute.test_copy import made, text_of
from tests.helpers.repositories import MOMENT, Repository, daemon


@pytest.fixture
def repository(tmp_path):
    made_ = Repository(tmp_path / "served")
    (made_.tree / "run").write_text("1")
    (made_.tree / "run").chmod(0o777)
    (made_.tree / "text").write_text("2")
    (made_.tree / "text").chmod(0o600)
    (made_.tree / "link").symlink_to("text")
    made_.commit({"sub/inner/x": "3", ".dockerignore": "*"})
    return made_


@pytest.fixture
def url(tmp_path, repository):
    with daemon(tmp_path / "served") as address:
        yield f"{address}/x.git"


def test_a_checkout_has_uniform_owners_modes_and_times(site, url):
    entries = made(site, f"ADD {url} /d/")
    assert {name: oct(entry.mode) for name, entry in entries.items() if not entry.issym()} == {
        "d": "0o755", "d/run": "0o755", "d/text": "0o644", "d/.dockerignore": "0o644",
        "d/sub": "0o755", "d/sub/inner": "0o755", "d/sub/inner/x": "0o644",
    }  # fmt: skip
    assert {(entry.uid, entry.gid, entry.mtime) for name, entry in entries.items() if name != "d"} == {(0, 0, MOMENT)}
    assert entries["d/link"].linkname == "text"


def test_a_directory_of_a_repository_is_copied_without_what_is_around_it(site, url):
    assert sorted(made(site, f"ADD {url}#main:sub /d/")) == ["d", "d/inner", "d/inner/x"]
    assert sorted(made(site, f"ADD --exclude=inner {url}?subdir=sub /d/")) == ["d"]


@pytest.mark.parametrize("subdir", ["nothing", "text", "link", "sub/inner/x"])
def test_a_directory_is_a_real_one_all_the_way(site, repository, url, subdir):
    with pytest.raises(StepFailed, match=f'subdir "{subdir}" of .* is not a directory of the repository'):
        site.solve(f"FROM scratch\nADD {url}#main:{subdir} /d/\n")


def test_a_link_to_a_directory_is_no_directory(site, repository, url):
    (repository.tree / "alias").symlink_to("sub")
    (repository.tree / "out").symlink_to("/etc")
    repository.commit({})
    for path in ("alias", "alias/inner", "out", "out/ssl"):
        with pytest.raises(StepFailed, match="is not a directory of the repository"):
            site.solve(f"FROM scratch\nADD {url}#main:{path} /d/\n")


def test_a_commit_is_checked_out_once_whatever_leads_to_it(site, repository, url):
    repository.tag("v1")
    site.solve(f"FROM scratch\nADD {url}#main /d/\n")
    assert site.ran(f"FROM scratch\nADD {url}#v1 /d/\n") == []
    repository.commit({"other": "1"})
    assert site.ran(f"FROM scratch\nADD {url}#main /d/\n") == ["Git", "copy to /d/"]


def test_the_same_files_of_another_commit_are_not_copied_again(site, repository, url):
    site.solve(f"FROM scratch\nADD {url}#main:sub /d/\n")
    repository.commit({"elsewhere": "1"})
    assert site.ran(f"FROM scratch\nADD {url}#main:sub /d/\n") == ["Git"]


def test_the_git_directory_comes_along_when_it_is_asked_for(site, repository, url):
    commit = repository.commit({"a": "1"})
    assert text_of(site, f"ADD --keep-git-dir {url} /d/", "d/.git/HEAD") == f"{commit}\n"
    assert not any(name.startswith("d/.git/") for name in made(site, f"ADD {url} /d/"))


def test_nothing_is_left_of_a_checkout(site, url):
    made(site, f"ADD {url} /d/")
    assert list((site.store.root / "tmp").iterdir()) == []
