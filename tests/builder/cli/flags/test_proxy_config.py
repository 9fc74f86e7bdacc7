import json
from pathlib import Path

import pytest

from pybuild.builder.cli.flags.build_values import build_arguments
from pybuild.builder.cli.flags.proxy_config import proxy_arguments

CONFIG = {"proxies": {"default": {"httpProxy": "http://p:1", "noProxy": "a,b", "other": "x"}, "tcp://h": {}}}


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    return {"DOCKER_CONFIG": str(tmp_path)}


def test_proxies_of_dockers_configuration_are_build_arguments(env: dict[str, str]) -> None:
    assert dict(build_arguments(["A=b"], env)) == {"HTTP_PROXY": "http://p:1", "NO_PROXY": "a,b", "A": "b"}


def test_what_the_command_line_says_counts(env: dict[str, str]) -> None:
    assert proxy_arguments({"http_proxy": "mine"}, env) == {"NO_PROXY": "a,b"}


def test_they_are_found_below_the_home_directory(tmp_path: Path) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps(CONFIG))
    assert proxy_arguments({}, {"HOME": str(tmp_path)})["HTTP_PROXY"] == "http://p:1"
    assert proxy_arguments({}, {"HOME": str(tmp_path / "none")}) == {}
    assert proxy_arguments({}, {}) == {}


@pytest.mark.parametrize("text", ['{"proxies": [', '{"proxies": 1}', '{"proxies": {"default": 1}}'])
def test_a_damaged_file_is_warned_of_and_does_no_harm(
    env: dict[str, str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = Path(env["DOCKER_CONFIG"]) / "config.json"
    path.write_text(text)
    assert proxy_arguments({}, env) == {}
    assert capsys.readouterr().err == f"WARNING: {path}: cannot be read, its proxies are not used\n"


def test_a_file_without_proxies_is_not_even_parsed(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    (Path(env["DOCKER_CONFIG"]) / "config.json").write_text('{"auths": ')
    assert proxy_arguments({}, env) == {}
    assert capsys.readouterr().err == ""
