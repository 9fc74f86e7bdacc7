"""Reading the values of secrets."""

from pathlib import Path

import pytest

from pybuild.builder.errors import BuildError
from pybuild.builder.request import Secret
from pybuild.builder.sources.secrets import read_secret

_LIMIT = 500 << 10


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"\0value\n")
    assert read_secret(Secret(id="s", file=path)) == b"\0value\n"


def test_a_variable_is_read_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "v\udcff")
    assert read_secret(Secret(id="s", variable="TOKEN")) == b"v\xff"


def test_a_variable_that_is_not_set_is_an_empty_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOKEN", raising=False)
    assert read_secret(Secret(id="s", variable="TOKEN")) == b""


def test_a_file_that_is_missing_is_named_without_a_number(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"^secret s: .*/gone: [Nn]o such file or directory$"):
        read_secret(Secret(id="s", file=tmp_path / "gone"))


def test_the_limit_is_that_of_buildkit(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(bytes(_LIMIT))
    assert len(read_secret(Secret(id="s", file=path))) == _LIMIT
    path.write_bytes(bytes(_LIMIT + 1))
    with pytest.raises(BuildError, match="larger than 500 KiB"):
        read_secret(Secret(id="s", file=path))
