import json
import sys
from pathlib import Path, PurePosixPath

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.request import Device, Rights, Volume
from pybuild.builder.request.cdi import Needed, find_device, is_name

FILE = {
    "cdiVersion": "0.6.0",
    "kind": "vendor.example/gpu",
    "containerEdits": {"env": ["DRIVER=/opt"], "additionalGids": [0, 44]},
    "devices": [
        {
            "name": "gpu0",
            "containerEdits": {
                "deviceNodes": [
                    {"path": "/dev/gpu", "hostPath": "/dev/null"},
                    {"path": "/dev/zero", "permissions": "rw"},
                ],
                "mounts": [{"hostPath": "/opt/lib", "containerPath": "/lib/gpu", "options": ["ro", "rbind"]}],
            },
        },
        {"name": "hooked", "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/x"}]}},
    ],
}


def put(directory: Path, document: object, name: str = "a.json") -> Path:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return directory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vendor.example/gpu=gpu0", True),
        ("a/b=c", True),
        ("/dev/a=b", False),
        ("a=b", False),
        ("a/b", False),
        ("a/b=", False),
    ],
)
def test_a_name_is_no_path(text: str, expected: bool) -> None:
    assert is_name(text) == expected


def test_a_device_needs_what_it_and_its_file_say(tmp_path: Path) -> None:
    found = find_device("vendor.example/gpu=gpu0", [put(tmp_path / "cdi", FILE)])
    assert found == Needed(
        rights=Rights(
            env=(("DRIVER", "/opt"),),
            groups=("44",),
            devices=(
                Device(host_path=Path("/dev/null"), target=PurePosixPath("/dev/gpu")),
                Device(host_path=Path("/dev/zero"), target=PurePosixPath("/dev/zero")),
            ),
            volumes=(Volume(host_path=Path("/opt/lib"), target=PurePosixPath("/lib/gpu"), read_only=True),),
        ),
        hooks=False,
    )


def test_hooks_are_noticed_and_the_last_place_counts(tmp_path: Path) -> None:
    places = [
        put(tmp_path / "etc", FILE),
        put(tmp_path / "run", {**FILE, "containerEdits": {"env": ["B=1"]}}),
        tmp_path / "no",
    ]
    found = find_device("vendor.example/gpu=hooked", places)
    assert (found.hooks, found.rights.env) == (True, (("B", "1"),))


def test_yaml_is_read_where_a_library_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yaml", reason="needs PyYAML, which the tests' environment has")
    text = "kind: v/c\ndevices:\n- name: a\n  containerEdits:\n    env: [X=1]\n"
    place = put(tmp_path / "cdi", text, "v.yaml")
    assert find_device("v/c=a", [place]).rights.env == (("X", "1"),)
    put(place, "kind: [", "v.yaml")
    with pytest.raises(RequestError, match=r"v\.yaml: not a CDI file"):
        find_device("v/c=a", [place])
    put(place, text + "#\n" * (2 << 20), "v.yaml")
    with pytest.raises(RequestError, match=r"v\.yaml: not a CDI file: larger than 4194304 bytes"):
        find_device("v/c=a", [place])
    put(place, text, "v.yaml")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(RequestError, match="YAML cannot be read here"):
        find_device("v/c=a", [place])


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("{", "not a CDI file"),
        ("[" * 100000, "not a CDI file"),
        ("[]", "expected an object"),
        ({"kind": "v/c", "devices": {}}, "unresolvable CDI device v/c=a"),
        ({"kind": "v/c", "devices": 3}, "devices is no list"),
        ({"kind": "v/c", "devices": [{"name": "a", "containerEdits": [3]}]}, "containerEdits is no object"),
        ({"kind": "v/c", "devices": [{"name": "a", "containerEdits": {"deviceNodes": [{}]}}]}, "not described"),
        ({"kind": "v/c", "devices": [{"name": "a", "containerEdits": {"deviceNodes": [3]}}]}, "not described"),
        ({"kind": "v/c", "devices": [{"name": "a", "containerEdits": {"mounts": [{"hostPath": "/x"}]}}]}, "not described"),
        ({"kind": "v/c", "devices": [{"name": "a", "containerEdits": {"intelRdt": {"closID": "x"}}}]}, "intelRdt"),
        (
            {"kind": "v/c", "devices": [{"name": "a", "containerEdits": {"deviceNodes": [{"path": "/dev/x", "permissions": "r"}]}}]},
            "permissions",
        ),
    ],
)  # fmt: skip
def test_a_file_that_says_something_else_is_an_error_with_its_name(
    tmp_path: Path, document: object, problem: str
) -> None:
    place = put(tmp_path / "cdi", document)
    with pytest.raises(RequestError, match=problem):
        find_device("v/c=a", [place])
