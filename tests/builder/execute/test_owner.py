"""The owner of files that COPY, ADD and WORKDIR create."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.execute.job import Work
from pybuild.builder.execute.owner import is_number, owner_of
from pybuild.runtime.paths.safepath import Root


def work(directory: Path, said: list[bytes]) -> Work:
    """Return as much of a `Work` as is used: the rootfs *directory*, and the output."""

    @contextmanager
    def unpacked() -> Iterator[Root]:
        with Root.open_host(directory) as root:
            yield root

    fake: Any = SimpleNamespace(unpacked=unpacked, output=lambda _stream, data: said.append(data))
    return cast("Work", fake)


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("me:x:7:8::/:\n")
    (tmp_path / "etc/group").write_text("us:x:9:\n")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("5", (5, 5)),
        ("5:6", (5, 6)),
        ("me", (7, 8)),
        ("me:us", (7, 9)),
        ("5:us", (5, 9)),
        ("me:6", (7, 6)),
        (f"{2**32 - 2}", (2**32 - 2, 2**32 - 2)),
    ],
)
def test_numbers_and_names_become_ids(rootfs: Path, text: str, owner: tuple[int, int]) -> None:
    assert owner_of(text, work(rootfs, [])) == owner


@pytest.mark.parametrize(
    ("text", "owner", "instead"),
    [("who", 0, b"using root"), ("me:who", 7, b"using the group of the user")],
)
def test_an_unknown_name_is_a_warning(rootfs: Path, text: str, owner: int, instead: bytes) -> None:
    said: list[bytes] = []
    assert owner_of(text, work(rootfs, said))[0] == owner
    assert len(said) == 1
    assert b"who" in said[0]
    assert instead in said[0]


@pytest.mark.parametrize("text", [f"{2**32 - 1}", f"0:{2**32 - 1}"])
def test_a_number_that_chown_does_not_take_is_an_error(rootfs: Path, text: str) -> None:
    with pytest.raises(BuildError, match="go up to 4294967294"):
        owner_of(text, work(rootfs, []))


def test_only_numbers_need_no_files_of_the_image() -> None:
    assert is_number("5")
    assert is_number("5:6")
    assert not any(map(is_number, ("me", "5:us", "5:", ":5", "-5", "\u0665", "5\n", "")))
