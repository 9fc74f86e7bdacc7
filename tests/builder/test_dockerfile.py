import os

import pytest

from pybuild.builder.dockerfile import read_dockerfile
from pybuild.builder.errors import BuildError, RequestError
from pybuild.builder.plan.plan import Definition
from pybuild.builder.request import Files
from pybuild.grammar.errors import DockerfileError
from pybuild.grammar.source import Source


def read(context, dockerfile=None):
    return read_dockerfile(Files(context=context, dockerfile=dockerfile))


def refused(message, context, dockerfile=None):
    with pytest.raises(RequestError, match=message) as caught:
        read(context, dockerfile)
    return caught.value


def test_the_dockerfile_of_the_context_is_read_in_either_spelling(tmp_path):
    (tmp_path / "dockerfile").write_text("small")
    assert read(tmp_path) == Definition("dockerfile", "small")
    (tmp_path / "Dockerfile").write_text("great")
    assert read(tmp_path) == Definition("Dockerfile", "great")


def test_another_one_may_be_named_wherever_it_is(tmp_path):
    (tmp_path / "my.df").write_text("x")
    assert read(tmp_path / "nowhere", tmp_path / "my.df") == Definition("my.df", "x")


def test_a_missing_one_is_refused_with_the_way_to_name_another(tmp_path):
    assert "-f" in refused("open Dockerfile: no such file or directory", tmp_path).hint
    refused("my.df: no such file or directory", tmp_path, tmp_path / "my.df")
    refused("is a directory", tmp_path, tmp_path)


def test_a_named_one_without_end_is_left_at_the_limit(tmp_path):
    (tmp_path / "my.df").symlink_to("/dev/zero")
    refused("my.df: longer than 16777216 bytes", tmp_path, tmp_path / "my.df")


def test_a_link_out_of_the_context_is_not_followed(tmp_path):
    context = tmp_path / "context"
    context.mkdir()
    (tmp_path / "outside").write_text("secret")
    (context / "Dockerfile").symlink_to("../outside")
    refused("no such file", context)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "Dockerfile")
    refused("failed to read dockerfile", tmp_path)


def test_a_containerfile_is_named_when_it_is_all_there_is(tmp_path):
    (tmp_path / "Containerfile").write_text("FROM x\n")
    with pytest.raises(RequestError, match="failed to read dockerfile") as caught:
        read_dockerfile(Files(context=tmp_path))
    assert caught.value.hint == f"there is a Containerfile: give it with -f {tmp_path}/Containerfile"


def test_text_that_is_not_utf_8_is_refused_with_its_line(tmp_path):
    (tmp_path / "Dockerfile").write_bytes(b"FROM x\nRUN \xff\n")
    refused("Dockerfile:2: the Dockerfile is not valid UTF-8", tmp_path)


@pytest.mark.parametrize("error", [BuildError("x"), DockerfileError("x")])
def test_a_failure_takes_the_text_along_that_its_place_is_in(error):
    with pytest.raises(type(error)) as caught, Definition("a.df", "FROM x").located():
        raise error
    assert caught.value.source == Source("a.df", "FROM x")


def test_a_failure_that_knows_its_text_keeps_it():
    error = DockerfileError("x")
    error.source = Source("b.df", "")
    with pytest.raises(DockerfileError) as caught, Definition("a.df", "FROM x").located():
        raise error
    assert caught.value.source == Source("b.df", "")
