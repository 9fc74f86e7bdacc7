"""The usual build is read without click: what comes out is what click makes of the same words."""

import os
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pybuild.builder.cli import main
from pybuild.builder.cli.commands.build import build
from pybuild.builder.cli.flags.fast_path import fast_path_build
from pybuild.builder.cli.tools import session
from pybuild.builder.errors import RequestError

ENVIRONMENT = {"HOME": "/nowhere", "NAMED": "from outside", "BUILDKIT_PROGRESS": "plain"}
PHRASES = [
    *("--root /r", "--root=/r", "-t a:1", "--tag b", "--tag=c/d:e", "-f Dockerfile", "--file=other/D"),
    *("--build-arg A=1", "--build-arg NAMED", "--build-arg=A=2", "--label x", "--label=a=b", "--label a=c"),
    *("--target s", "--network none", "--network=host", "--no-cache", "-q", "--quiet", "--progress plain"),
]
ODD = [
    *("-t", "-t=a", "-ta", "--tag=", "-f -", "-", "--", "--build-arg=SOURCE_DATE_EPOCH=1", "--label==b"),
    *("--build-arg=BUILDKIT_INLINE_CACHE=1", "--target=s=n:1", "--network=odd", "--no-cache=true", "--progress=odd"),
    *(
        "build",
        "-qt",
        "-D",
        "--pull",
        "--squash",
        "dir",
        "missing",
        "http://host/x",
        "images",
        "-t Bad",
        "--help",
        "--tag -q",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("place")
    (directory / "dir").mkdir()
    before = Path.cwd()
    os.chdir(directory)
    yield directory
    os.chdir(before)


def by_click(words: Sequence[str]) -> tuple[object, ...]:
    """What click makes of *words*: root, mode and request, or what it prints of a mistake."""
    asked: list[tuple[object, ...]] = []

    def keep(request: Any, reported: Any, **_: object) -> int:
        asked.append((session().root, reported.mode, request))
        return 0

    with (
        mock.patch.dict(os.environ, ENVIRONMENT, clear=True),
        mock.patch.object(main, "fast_path_build", return_value=None),
        mock.patch.object(build, "carry_out", keep),
        redirect_stderr(StringIO()) as printed,
    ):
        main.run(words)
    return asked[0] if asked else ("wrong", printed.getvalue())


def compared(words: Sequence[str]) -> bool:
    """Compare both ways to read *words*; False when they are left to click."""
    usual, mistake = None, ""
    try:
        usual = fast_path_build(words, ENVIRONMENT)
    except RequestError as error:
        mistake = error.message
    if mistake:
        assert mistake in str(by_click(words)[-1])
    elif usual is not None:
        assert usual == by_click(words)
    return bool(mistake or usual)


@pytest.mark.parametrize(
    "line",
    [
        "build dir",
        "-t a dir",
        "--root /r build -t a -t b:1 ./dir",
        "--root=/r -f other/D dir",
        "build --root /r --network=host --progress=plain -t name dir",
        "build --build-arg A=1 --build-arg NAMED --build-arg=MISSING --label a=b=c --label d --target s dir",
        "-q --progress plain --no-cache dir",
        "-t Bad dir",
        "--network odd dir",
        "--label =x dir",
    ],
)
def test_a_fast_path_build_is_what_click_makes_of_it(line: str) -> None:
    assert compared(line.split())


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PHRASES), max_size=6), st.lists(st.sampled_from(ODD), max_size=1), st.data())
def test_any_words_that_are_taken_for_usual_are_what_click_makes_of_them(
    phrases: list[str], odd: list[str], data: st.DataObject
) -> None:
    command = data.draw(st.sampled_from(["", "build", "--root /r build"]))
    together = data.draw(st.permutations([*phrases, *odd, "dir"]))
    compared(" ".join([command, *together]).split())


@pytest.mark.parametrize(
    "line",
    [
        "images",
        "run dir",
        "dir",
        "build",
        "-t",
        "build -t a missing",
        "build - ",
        "build -f - dir",
        "build -f http://host/D dir",
        "build -qt a dir",
        "build -ta dir",
        "build -t=a dir",
        "build --tag= dir",
        "build -t -q dir",
        "build --no-cache=false dir",
        "build --pull dir",
        "build -D dir",
        "build -- dir",
        "build dir dir",
        "build --target a --target b dir",
        "build --target a=n:1 dir",
        "build --progress odd dir",
        "build --build-arg SOURCE_DATE_EPOCH=1 dir",
        "build --build-arg BUILDKIT_MULTI_PLATFORM=1 dir",
        "build --iidfile x dir",
    ],
)
def test_what_is_not_plain_is_left_to_click(line: str) -> None:
    assert fast_path_build(line.split(), ENVIRONMENT) is None


@pytest.mark.parametrize("name", ["SOURCE_DATE_EPOCH", "DOCKER_DEFAULT_PLATFORM"])
def test_variables_that_stand_for_flags_are_left_to_click(name: str) -> None:
    assert fast_path_build(["-q", "dir"], ENVIRONMENT) is not None
    assert fast_path_build(["-q", "dir"], {**ENVIRONMENT, name: "1"}) is None
