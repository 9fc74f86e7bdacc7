"""Empty values, which scripts pass for variables that are not set."""

from pathlib import Path

import pytest

from tests.builder.cli.conftest import Shop

_UNSET = (
    *("--iidfile", "--metadata-file", "--network", "--add-host", "--target", "--file", "--progress", "--cache-from"),
    *("--cache-to", "--output", "--secret", "--ssh", "--annotation", "--build-context", "--allow", "--cgroup-parent"),
    *("--no-cache-filter", "--call", "--memory", "--log-file", "--authfile", "--volume", "--dns", "--jobs"),
    *("--build-arg-file", "--ignorefile", "--timestamp", "--format", "--compression", "--cache-ttl"),
)


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "context"
    directory.mkdir()
    (directory / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    monkeypatch.chdir(directory)
    return directory


def test_an_empty_value_is_none(shop: Shop, context: Path) -> None:
    flags = [word for flag in _UNSET for word in (flag, "")]
    result = shop.run("build", *flags, ".")
    assert result.code == 0, result.err
    assert [path.name for path in context.iterdir()] == ["Dockerfile"]


@pytest.mark.parametrize("flag", ["--tag", "--platform", "--build-arg", "--label", "--ulimit", "--shm-size"])
def test_where_docker_refuses_an_empty_value_it_is_a_mistake(shop: Shop, context: Path, flag: str) -> None:
    result = shop.run("build", flag, "", ".")
    assert result.code == 2, context
    assert "invalid" in result.err or "failed to parse" in result.err
