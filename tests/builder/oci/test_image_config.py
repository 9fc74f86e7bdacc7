import json
from typing import Any

import pytest

from pybuild.builder.oci.digest import Digest
from pybuild.builder.oci.errors import InvalidImage
from pybuild.builder.oci.image_config import ContainerConfig, Healthcheck, History, ImageConfig
from pybuild.runtime.values import fields

DIFF_ID = Digest.of(b"layer")
FULL = ImageConfig(
    created="2024-01-02T03:04:05.123456789Z",
    author="someone",
    architecture="arm",
    os="linux",
    variant="v7",
    os_version="1",
    os_features=("f",),
    config=ContainerConfig(
        user="u:g",
        exposed_ports=("53/udp", "80/tcp"),
        env=("A=b", "C="),
        entrypoint=("/e",),
        cmd=("a && b",),
        volumes=("/v",),
        working_dir="/w",
        labels=(("a", "1"), ("b", "")),
        stop_signal="SIGTERM",
        args_escaped=True,
        healthcheck=Healthcheck(test=("CMD", "x"), interval=30_000_000_000, retries=3),
        on_build=("RUN x",),
        shell=("/bin/bash", "-c"),
    ),
    diff_ids=(DIFF_ID,),
    history=(History(created_by="RUN x", comment="c"), History(created_by="ENV A=b", empty_layer=True)),
)


def test_the_full_config_has_every_member() -> None:
    values = [(each.name, each.default, getattr(FULL.config, each.name)) for each in fields(FULL.config)]
    assert [name for name, default, value in values if value == default] == []


def document(**changes: Any) -> bytes:
    base = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
    return json.dumps({**base, **changes}).encode()


def test_a_full_config_is_written_as_docker_and_buildkit_write_it() -> None:
    assert FULL.to_json().decode() == (
        '{"architecture":"arm","author":"someone","config":{"User":"u:g","ExposedPorts":{"53/udp":{},"80/tcp":{}},'
        '"Env":["A=b","C="],"Entrypoint":["/e"],"Cmd":["a \\u0026\\u0026 b"],"Volumes":{"/v":{}},"WorkingDir":"/w",'
        '"Labels":{"a":"1","b":""},"StopSignal":"SIGTERM","ArgsEscaped":true,'
        '"Healthcheck":{"Test":["CMD","x"],"Interval":30000000000,"Retries":3},'
        '"OnBuild":["RUN x"],"Shell":["/bin/bash","-c"]},"created":"2024-01-02T03:04:05.123456789Z",'
        '"history":[{"created_by":"RUN x","comment":"c"},{"created_by":"ENV A=b","empty_layer":true}],'
        '"os":"linux","os.features":["f"],"os.version":"1",'
        f'"rootfs":{{"type":"layers","diff_ids":["{DIFF_ID}"]}},"variant":"v7"}}'
    )


def test_an_empty_config_has_only_what_must_be_there() -> None:
    assert ImageConfig(architecture="amd64", os="linux").to_json() == (
        b'{"architecture":"amd64","config":{},"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    )


def test_reading_gives_back_what_was_written() -> None:
    assert ImageConfig.from_json(FULL.to_json()) == FULL


def test_labels_and_sets_are_sorted_whatever_their_order() -> None:
    config = ContainerConfig(labels=(("b", "2"), ("a", "1")), exposed_ports=("80/tcp", "53/udp"))
    text = ImageConfig(architecture="a", os="l", config=config).to_json()
    assert b'"Labels":{"a":"1","b":"2"}' in text
    assert b'"ExposedPorts":{"53/udp":{},"80/tcp":{}}' in text


def test_absent_and_empty_commands_are_told_apart() -> None:
    parsed = ImageConfig.from_json(document(config={"Cmd": [], "Entrypoint": None}))
    assert parsed.config.cmd == ()
    assert parsed.config.entrypoint is None
    assert b"Cmd" not in parsed.to_json()


def test_what_is_not_known_is_ignored() -> None:
    raw = document(docker_version="20.10", container_config={"Hostname": 3}, config={"Image": "x", "Domainname": ""})
    assert ImageConfig.from_json(raw) == ImageConfig(architecture="amd64", os="linux")


def test_the_number_of_layers_is_that_of_the_entries_that_are_not_empty() -> None:
    assert FULL.layers_in_history == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": None}, "config.architecture: expected string, found nothing"),
        ({"os": 3}, "config.os: expected string"),
        ({"rootfs": None}, "config.rootfs: expected object, found nothing"),
        ({"rootfs": {"type": "disk"}}, 'config.rootfs.type: expected "layers"'),
        ({"rootfs": {"diff_ids": ["sha256:xyz"]}}, "config.rootfs.diff_ids[0]: invalid digest 'sha256:xyz'"),
        ({"created": "yesterday"}, "config.created: not a time of RFC 3339: 'yesterday'"),
        ({"history": [{}, {"created": "x"}]}, "config.history[1].created: not a time of RFC 3339: 'x'"),
        ({"history": [{"empty_layer": "yes"}]}, "config.history[0].empty_layer: expected bool"),
        ({"config": {"Env": ["A=b", "NOTHING"]}}, "config.config.Env[1]: expected NAME=value, found 'NOTHING'"),
        ({"config": {"Env": ["=x"]}}, "config.config.Env[0]: expected NAME=value, found '=x'"),
        ({"config": {"Env": ["A=b\0c"]}}, r"config.config.Env[0]: expected NAME=value, found 'A=b\x00c'"),
        ({"config": {"User": "a\nb"}}, r"config.config.User: too long or with control characters: 'a\nb'"),
        ({"config": {"WorkingDir": "/\0"}}, r"config.config.WorkingDir: too long or with control characters: '/\x00'"),
        (
            {"config": {"WorkingDir": "/" + "a" * 4095}},
            f"config.config.WorkingDir: too long or with control characters: '/{'a' * 79}'",
        ),
        ({"config": {"Cmd": "sh"}}, "config.config.Cmd: expected list"),
        ({"config": {"Healthcheck": {"Interval": "30s"}}}, "config.config.Healthcheck.Interval: expected int"),
    ],
)
def test_a_wrong_config_is_refused_with_the_place(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidImage) as caught:
        ImageConfig.from_json(document(**changes))
    assert str(caught.value) == message
