"""What Kaniko's flags say of registries, as the files that pybuild reads."""

import os
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pybuild.builder.cli.commands.build.executor_flags import MirrorFlags
from pybuild.builder.cli.commands.build.executor_hosts import configured
from pybuild.builder.errors import RequestError

VARIABLES = ("CONTAINERS_REGISTRIES_CONF", "PYBUILD_CONFIG", "KANIKO_REGISTRY_MAP", "KANIKO_REGISTRY_MIRROR")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without the variables of this host."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def registries(directory: Path, **flags: Any) -> list[dict[str, Any]]:
    """The registries of the file that the flags make."""
    with configured(MirrorFlags(**flags), directory):
        text = Path(os.environ["CONTAINERS_REGISTRIES_CONF"]).read_text(encoding="utf-8")
    return tomllib.loads(text)["registry"]  # type: ignore[no-any-return]


def test_without_flags_no_file_is_written_and_no_variable_set(tmp_path: Path) -> None:
    with configured(MirrorFlags(), tmp_path) as mirrors:
        assert mirrors == {}
        assert not set(VARIABLES) & os.environ.keys()
    assert list(tmp_path.iterdir()) == []


def test_mirrors_of_the_hub_come_before_it_in_their_order(tmp_path: Path) -> None:
    assert registries(tmp_path, mirrors=("a.example", "b.example/hub/")) == [
        {
            "prefix": "docker.io",
            "location": "docker.io",
            "mirror": [{"location": "a.example"}, {"location": "b.example/hub"}],
        }
    ]


def test_without_a_fallback_the_last_mirror_takes_the_place_of_the_registry(tmp_path: Path) -> None:
    maps = ("quay.io=a.example;quay.io=b.example;index.docker.io=c.example",)
    assert registries(tmp_path, maps=maps, no_fallback=True) == [
        {"prefix": "quay.io", "location": "b.example", "mirror": [{"location": "a.example"}]},
        {"prefix": "docker.io", "location": "c.example"},
    ]


def test_plain_http_is_for_registries_and_mirrors_that_are_said_to_be_insecure(tmp_path: Path) -> None:
    found = registries(
        tmp_path, mirrors=("http://a.example", "b.example:5000/x"), insecure_registries=("b.example:5000", "c.example")
    )
    assert found == [
        {"prefix": "b.example:5000", "location": "b.example:5000", "insecure": True},
        {"prefix": "c.example", "location": "c.example", "insecure": True},
        {
            "prefix": "docker.io",
            "location": "docker.io",
            "mirror": [
                {"location": "a.example", "insecure": True},
                {"location": "b.example:5000/x", "insecure": True},
            ],
        },
    ]


def test_variables_of_a_ci_system_add_mirrors_and_empty_ones_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KANIKO_REGISTRY_MAP", "")
    monkeypatch.setenv("KANIKO_REGISTRY_MIRROR", "b.example,,c.example")
    with configured(MirrorFlags(mirrors=("a.example",)), tmp_path) as mirrors:
        assert mirrors == {"docker.io": ("a.example", "b.example", "c.example")}


def test_certificates_are_those_of_one_registry(tmp_path: Path) -> None:
    flags = MirrorFlags(certificates=("r.example:5000=/ca.crt",), client_certificates=("r.example:5000=/c.crt,/c.key",))
    with configured(flags, tmp_path):
        text = Path(os.environ["PYBUILD_CONFIG"]).read_text(encoding="utf-8")
    assert tomllib.loads(text) == {
        "registry": {"r.example:5000": {"ca": ["/ca.crt"], "keypair": [{"cert": "/c.crt", "key": "/c.key"}]}}
    }


def test_variables_are_as_before_when_the_build_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYBUILD_CONFIG", "/own.toml")
    flags = MirrorFlags(mirrors=("a.example",), certificates=("r.example=/ca.crt",))
    with suppress(KeyboardInterrupt), configured(flags, tmp_path):
        assert os.environ["PYBUILD_CONFIG"] == str(tmp_path / "pybuild.toml")
        raise KeyboardInterrupt
    assert os.environ["PYBUILD_CONFIG"] == "/own.toml"
    assert "CONTAINERS_REGISTRIES_CONF" not in os.environ


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"maps": ("quay.io",)}, "invalid --registry-map 'quay.io'"),
        ({"maps": ("=a.example",)}, "invalid --registry-map"),
        ({"certificates": ("/ca.crt",)}, "invalid --registry-certificate '/ca.crt'"),
        ({"client_certificates": ("r.example=/c.crt",)}, "invalid --registry-client-cert 'r.example=/c.crt'"),
        ({"client_certificates": ("r.example=,/c.key",)}, "invalid --registry-client-cert"),
    ],
)
def test_an_invalid_value_names_its_flag(tmp_path: Path, flags: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message), configured(MirrorFlags(**flags), tmp_path):
        pass
