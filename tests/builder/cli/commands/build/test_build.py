"""What is checked before a build starts; the rest is in `tests/builder/cli/test_main.py`."""

from pathlib import Path

import pytest

from pybuild.builder.cli.commands.build.build import check_secrets
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Secret


def test_a_secret_without_its_file_is_found_out_before_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOBODY", "x")
    (tmp_path / "there").touch()
    check_secrets([Secret(id="a", variable="NOBODY"), Secret(id="b", file=tmp_path / "there")])
    with pytest.raises(RequestError, match=f"failed to stat {tmp_path}/none: no such file or directory"):
        check_secrets([Secret(id="a", file=tmp_path / "none")])


def test_a_secret_whose_variable_is_not_set_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NOBODY", raising=False)
    monkeypatch.setenv("SOMEBODY", "")
    check_secrets([Secret(id="a", variable="NOBODY"), Secret(id="b", variable="SOMEBODY")])
    assert capsys.readouterr().err == "WARNING: secret a is empty: the variable NOBODY is not set\n"
