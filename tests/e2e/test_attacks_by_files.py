"""Hostile contexts, archives, layouts and base images, each through a whole build; afterwards the store still builds."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.test_attacks import SECRET, attack, evil_archive
from tests.helpers import rawtar
from tests.helpers.program import Program

EVERYTHING = "FROM small\nCOPY . /c/\nRUN find /c -type f | xargs cat\n"
CONTROLS = {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160), 0x202E)}


@pytest.fixture(autouse=True)
def _nothing_outside_changes(program: Program, tmp_path: Path) -> Iterator[None]:
    outside = tmp_path / "outside"
    outside.mkdir()
    rawtar.canary(outside)
    before = rawtar.watched(outside)
    yield
    assert rawtar.watched(outside) == before
    assert attack(program, tmp_path / "fine", "FROM small\nRUN true\n").exit_code == 0


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "fine").mkdir()
    directory = tmp_path / "context"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("instruction", ["COPY", "ADD"])
@pytest.mark.parametrize("source", ["absolute", "relative", "folder/canary", "up/outside/canary", "../outside/canary"])
def test_c01_no_link_of_a_context_shows_a_file_of_the_host(
    program: Program, context: Path, tmp_path: Path, instruction: str, source: str
) -> None:
    for name, target in (("absolute", tmp_path / "outside" / "canary"), ("relative", Path("../outside/canary"))):
        (context / name).symlink_to(target)
    (context / "folder").symlink_to(tmp_path / "outside")
    (context / "up").symlink_to("..")
    done = attack(program, tmp_path, f"FROM small\n{instruction} {source} /x\n")
    assert (done.exit_code, "not found in the build context" in done.printed) == (1, True)


def _node(path: Path) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 5))


@pytest.mark.parametrize("make", [os.mkfifo, _node, lambda path: path.symlink_to("/dev/zero")])
def test_c01_pipes_and_devices_of_a_context_are_not_read(
    program: Program, context: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(context / "it")
    assert attack(program, tmp_path, EVERYTHING).exit_code == 0
    (context / "Dockerfile").unlink()
    make(context / "Dockerfile")
    result = program.run("build", str(context), check=False)
    assert (result.returncode, "failed to read dockerfile" in result.stderr) == (2, True)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, _node])
def test_c02_an_ignore_file_that_cannot_be_read_does_not_show_what_it_hides(
    program: Program, context: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (context / "secret").write_text(SECRET)
    make(context / ".dockerignore")
    failed = attack(program, tmp_path, EVERYTHING)
    assert (failed.exit_code, "failed to read the ignore file" in failed.printed) == (2, True)


def test_c07_names_of_files_and_words_of_an_image_do_not_reach_the_terminal(
    program: Program, context: Path, tmp_path: Path
) -> None:
    escape = "\x1b[2J\x1b]0;x\x07\x9b31m\u202e"
    (context / escape.replace("/", "")).write_text("x")
    (tmp_path / "evil.tar").write_bytes(evil_archive("Labels", {escape: escape}))
    program.run("load", "-i", str(tmp_path / "evil.tar"))
    printed = [
        attack(
            program, tmp_path, f'FROM evil\nLABEL a="{escape}"\nCOPY . /c/\nCOPY {escape}? /missing{escape}\n'
        ).printed,
        *(program.run(*words).stdout for words in (("inspect", "evil"), ("history", "evil"), ("images", "--tree"))),
        program.run("inspect", "-f", "{{json .Config}} {{.Config.Labels}}", "evil").stdout,
    ]
    assert [text for text in printed if CONTROLS & set(text)] == []


@pytest.mark.parametrize(
    "line",
    [
        'RUN ["/bin/echo", "a\\u0000b"]',
        'COPY ["Dockerfile", "/a\\u0000b"]',
        'SHELL ["/bin/sh\\u0000", "-c"]\nRUN true',
        "RUN true \0",
    ],
)
def test_c09_a_nul_in_any_spelling_is_a_mistake_of_the_dockerfile(
    program: Program, context: Path, tmp_path: Path, line: str
) -> None:
    failed = attack(program, tmp_path, f"FROM small\n{line}\n")
    assert (failed.exit_code, "invalid character NUL" in failed.printed) == (2, True)
    assert context.exists()


@pytest.mark.parametrize("line", ["WORKDIR /", "COPY Dockerfile /", "RUN --mount=type=cache,target=/"])
def test_c09_thousands_of_directories_in_one_path_are_no_bug(
    program: Program, context: Path, tmp_path: Path, line: str
) -> None:
    done = attack(program, tmp_path, f"FROM small\n{line}{'a/' * 2500} {'true' if 'RUN' in line else ''}\n")
    assert done.exit_code in {0, 1, 3}
    assert "pybuild has a bug" not in done.printed
    assert context.exists()


@pytest.mark.parametrize(
    "members",
    [
        (rawtar.hardlink("h", "/etc/passwd"),),
        (rawtar.file("x"), rawtar.file("x/y")),
        (rawtar.file(".wh.etc"),),
        (rawtar.file(".wh..wh..opq"),),
        (rawtar.symlink("a", "b"), rawtar.symlink("b", "a"), rawtar.file("a/x")),
    ],
)
def test_b03_an_archive_that_makes_no_layer_fails_its_own_step(
    program: Program, context: Path, tmp_path: Path, members: tuple[bytes, ...]
) -> None:
    (context / "a.tar").write_bytes(rawtar.archive(*members))
    failed = attack(program, tmp_path, "FROM small\nADD a.tar /x/\n")
    assert (failed.exit_code, failed.executed) == (1, [])


def test_c01_no_member_of_a_context_on_standard_input_leaves_its_directory(
    program: Program, context: Path, tmp_path: Path
) -> None:
    outside = str(tmp_path / "outside")
    dockerfile = rawtar.file("Dockerfile", EVERYTHING.encode())
    through = rawtar.symlink("d", outside), rawtar.file("d/canary", b"evil"), rawtar.file("d/new")
    # Names of any length, wherever the tests run.
    names = "../" * 20 + outside[1:] + "/new", outside + "/new"
    climbing = (rawtar.pax(("path", name)) + rawtar.file("new") for name in names)
    (context / "evil.tar").write_bytes(rawtar.archive(dockerfile, *through, *climbing))
    with (context / "evil.tar").open("rb") as stream:
        assert "Traceback" not in program.run("build", "-t", "built", "-", stdin=stream).stderr


@pytest.mark.parametrize("form", ["oci:{}", "cache"])
def test_b25_a_pipe_in_place_of_the_index_of_a_layout_is_not_waited_for(
    program: Program, context: Path, tmp_path: Path, form: str
) -> None:
    layout = tmp_path / "layout"
    layout.mkdir()
    os.mkfifo(layout / "index.json")
    if form == "cache":
        done = attack(program, tmp_path, "FROM small\nRUN true\n", f"--cache-from=type=local,src={layout}")
        assert (done.exit_code, "not a regular file" in done.printed) == (0, True)
    else:
        failed = program.run("copy", form.format(layout), "x", check=False)
        assert (failed.returncode, "not a regular file" in failed.stderr) == (1, True)
    assert context.exists()
