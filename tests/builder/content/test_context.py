import os

import pytest

from pybuild.builder.content.context import IGNORE_LIMIT, Sources, open_context
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Files
from tests.helpers.contexts import write_context


def ignored(store, tmp_path, files, dockerfile=None):
    """Which of a, b, c and d the ignore file of a context hides."""
    context = write_context(tmp_path / "context", files | {"x": ""})
    request = Files(context=context, dockerfile=dockerfile)
    with Sources(request, store, lambda: False) as sources:
        source = sources.context()
        return {name for name in "abcd" if source.hides(name)}


def test_without_an_ignore_file_nothing_is_hidden(store, tmp_path):
    assert ignored(store, tmp_path, {}) == set()


def test_the_ignore_file_of_the_context_counts(store, tmp_path):
    assert ignored(store, tmp_path, {".dockerignore": "a\nb\n!b"}) == {"a"}


def test_the_ignore_file_of_the_dockerfile_wins(store, tmp_path):
    files = {".dockerignore": "a", "Dockerfile.dockerignore": "b"}
    assert ignored(store, tmp_path, files) == {"b"}


def test_the_ignore_file_beside_a_dockerfile_elsewhere_wins(store, tmp_path):
    elsewhere = write_context(tmp_path / "elsewhere", {"my.df": "", "my.df.dockerignore": "c"})
    assert ignored(store, tmp_path, {".dockerignore": "a"}, elsewhere / "my.df") == {"c"}
    (elsewhere / "my.df.dockerignore").unlink()
    assert ignored(store, tmp_path, {".dockerignore": "a"}, elsewhere / "my.df") == {"a"}


def test_a_link_out_of_the_context_is_no_ignore_file(store, tmp_path):
    (tmp_path / "outside").write_text("a")
    (tmp_path / "context").mkdir()
    (tmp_path / "context" / ".dockerignore").symlink_to("../outside")
    assert ignored(store, tmp_path, {}) == set()


def too_long(path):
    path.touch()
    os.truncate(path, 1 << 40)


@pytest.mark.parametrize("name", [".dockerignore", "Dockerfile.dockerignore"])
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, too_long, lambda path: path.symlink_to(path.name)])
def test_what_cannot_be_read_as_an_ignore_file_hides_nothing_silently(store, tmp_path, name, make):
    (tmp_path / "context").mkdir()
    make(tmp_path / "context" / name)
    with pytest.raises(RequestError, match="failed to read the ignore file"):
        ignored(store, tmp_path, {})


def test_the_context_is_opened_once_owned_by_root_and_closed_at_the_end(store, tmp_path):
    (tmp_path / "context").mkdir()
    with Sources(Files(context=tmp_path / "context"), store, lambda: False) as sources:
        source = sources.context()
        assert sources.context() is source
        assert source.owner(os.stat(tmp_path)) == (0, 0)
    assert source.root.fd == -1


def test_two_directories_have_two_identities(store, tmp_path):
    found = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with Sources(Files(context=tmp_path / name), store, lambda: False) as sources:
            found.add(sources.context().id)
    assert len(found) == 2


def test_the_tree_of_no_layers_is_empty(store, tmp_path):
    with Sources(Files(context=tmp_path), store, lambda: False) as sources:
        source = sources.of(())
        with source.root:
            assert list(source.root.scan("")) == []


def test_a_context_that_is_not_there_or_no_directory_is_refused(tmp_path):
    with pytest.raises(RequestError, match='nowhere" not found'):
        open_context(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match='file" is not a directory'):
        open_context(tmp_path / "file")


def test_a_named_context_has_an_ignore_file_of_its_own(store, tmp_path):
    main = write_context(tmp_path / "context", {".dockerignore": "a"})
    named = write_context(tmp_path / "named", {".dockerignore": "b", "Dockerfile.dockerignore": "c"})
    request = Files(context=main, contexts=(("other", str(named)),))
    with Sources(request, store, lambda: False) as sources:
        assert {name for name in "abc" if sources.context("other").hides(name)} == {"b"}
        assert {name for name in "abc" if sources.context().hides(name)} == {"a"}
        assert sources.context("other") is sources.context("other")
        assert sources.context("other").where == "the context other"


def test_a_context_that_is_elsewhere_is_no_directory():
    with pytest.raises(RequestError, match="not a directory of this host"):
        open_context("https://h.invalid/x.git")


def test_a_mistake_in_an_ignore_file_names_its_line(store, tmp_path):
    with pytest.raises(RequestError, match="dockerignore:2: "):
        ignored(store, tmp_path, {".dockerignore": "a\n!\n"})


def test_an_ignore_file_that_is_named_comes_before_all_others(store, tmp_path):
    context = write_context(tmp_path / "context", {".dockerignore": "a", "Dockerfile.dockerignore": "b"})
    (tmp_path / "mine").write_text("c\n")
    with Sources(Files(context=context, ignore_file=tmp_path / "mine"), store, lambda: False) as sources:
        assert {name for name in "abc" if sources.context().hides(name)} == {"c"}
    missing = Files(context=context, ignore_file=tmp_path / "none")
    with Sources(missing, store, lambda: False) as sources, pytest.raises(RequestError, match="none: no such file"):
        sources.context()


@pytest.mark.parametrize("own", [True, False])
def test_an_ignore_file_has_a_limit_wherever_it_is(store, tmp_path, own):
    context = write_context(tmp_path / "context", {"a": ""})
    with (tmp_path / "mine.dockerignore").open("wb") as file:
        file.truncate(IGNORE_LIMIT + 1)
    files = {"ignore_file": tmp_path / "mine.dockerignore"} if own else {"dockerfile": tmp_path / "mine"}
    too_long = pytest.raises(RequestError, match=r"mine\.dockerignore: longer than 4194304 bytes")
    with Sources(Files(context=context, **files), store, lambda: False) as sources, too_long:
        sources.context()


def test_the_ignore_file_of_buildah_counts_where_there_is_no_other(store, tmp_path):
    assert ignored(store, tmp_path / "one", {".containerignore": "a\n"}) == {"a"}
    assert ignored(store, tmp_path / "two", {".containerignore": "a\n", ".dockerignore": "b\n"}) == {"b"}
