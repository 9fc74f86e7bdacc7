"""``--squash``: one layer for what a build adds, with the tree that the layers had together."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

EPOCH = "--build-arg=SOURCE_DATE_EPOCH=1600000000"
TEXT = """
FROM small
COPY tree /tree/
RUN mkdir /tree/more && mv /tree/a /tree/more/moved && rm -r /tree/gone && ln /tree/b /tree/linked
RUN rm -r /tree/more && mkdir /tree/more && echo new > /tree/more/other && chmod 700 /tree
ENV name=value
RUN rm -f /bin/ls && ln -s busybox /bin/new && mkfifo /pipe && chown 7:8 /tree/stays/d && rm -r /tmp
WORKDIR /work
COPY --chown=5:6 tree/b /work/
CMD ["cat", "/work/b"]
"""
FILES = {"Dockerfile": TEXT, "tree/a": "a", "tree/b": "b", "tree/gone/c": "c", "tree/stays/d": "d"}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    return write_context(tmp_path / "context", FILES)


def image(program: Program, name: str) -> Any:
    return json.loads(program.run("inspect", name).stdout)[0]


def layers(program: Program, name: str) -> list[str]:
    found: list[str] = image(program, name)["RootFS"]["Layers"]
    return found


def tree(program: Program, context: Path, dest: Path, *options: str, tag: str) -> bytes:
    program.build(context, EPOCH, *options, "-o", f"type=tar,dest={dest}", tag=tag)
    return dest.read_bytes()


@pytest.mark.parametrize("flag", ["--squash", "--squash-all"])
def test_the_tree_is_the_same_and_the_layers_are_one(
    program: Program, context: Path, tmp_path: Path, flag: str
) -> None:
    wanted = tree(program, context, tmp_path / "layers", tag="layers")
    assert tree(program, context, tmp_path / "one", flag, tag="one") == wanted
    base = layers(program, "small") if flag == "--squash" else []
    assert layers(program, "one")[:-1] == base
    assert len(layers(program, "layers")) > len(base) + 2
    assert image(program, "one")["Config"] == image(program, "layers")["Config"]
    assert program.run("run", "--rm", "one").stdout == "b"


def test_what_a_step_has_removed_again_is_in_no_layer(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nCOPY secret /s\nRUN rm /s\nRUN echo kept > /k\n"
    context = write_context(tmp_path / "context", {"Dockerfile": text, "secret": "nobody may see this"})
    archive = tmp_path / "archive.tar"
    options = ("--compression=uncompressed", "-o", f"type=oci,dest={archive}")
    program.build(context, *options, tag="layers")
    assert b"nobody may see this" in archive.read_bytes()
    program.build(context, "--squash", *options, tag="one")
    assert b"nobody may see this" not in archive.read_bytes()


def test_the_history_keeps_its_lines_and_one_has_the_layer(program: Program, context: Path) -> None:
    program.build(context, "--squash", EPOCH)
    shown = program.run("history", "--no-trunc", "built").stdout.splitlines()
    assert "squashed by pybuild" in shown[1]
    assert sum("RUN" in line for line in shown) == 3


def test_a_second_build_merges_nothing_and_gives_the_same_image(program: Program, context: Path) -> None:
    program.build(context, "--squash", tag="one")
    again = program.build(context, "--squash", tag="two")
    assert again.executed == []
    assert image(program, "one")["Id"] == image(program, "two")["Id"]


def test_another_store_gets_the_same_digest(program: Program, context: Path, tmp_path: Path) -> None:
    other = Program(store=tmp_path / "other", variables=(("PYBUILD_SNAPSHOTTER", "copying"),))
    other.run("load", "-i", str(program.save("small", tmp_path / "small.tar")))
    for each in (program, other):
        each.build(context, "--squash", EPOCH)
    assert layers(program, "built") == layers(other, "built")


def test_one_layer_above_the_base_stays_as_it_is(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "context", {"Dockerfile": "FROM small\nCOPY f /f\n", "f": "f"})
    program.build(context, tag="plain")
    program.build(context, "--squash", tag="one")
    assert image(program, "plain")["Id"] == image(program, "one")["Id"]


def test_an_inline_cache_has_no_place_in_it(program: Program, context: Path) -> None:
    done = program.build(context, "--squash", "--cache-to=type=inline", check=False)
    assert done.exit_code == 2
    assert "--squash cannot be combined with --cache-to type=inline" in done.printed
