"""skopeo and umoci read what pybuild saves, and find in it what we find."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.helpers import cases, trees
from tests.helpers.hosts import need_programs
from tests.helpers.lab import Lab

NAMES = cases.parameters(("web-site", "run-deletes", "copy-unusual-names"))


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


@pytest.fixture(autouse=True)
def _needs_the_tools() -> None:
    need_programs(["skopeo", "umoci"])


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
@pytest.mark.parametrize("name", NAMES)
def test_skopeo_reads_the_archive(lab: Lab, name: str, transport: str) -> None:
    built = lab.case(name)
    assert built.image is not None, built.first.printed
    config = json.loads(_output("skopeo", "inspect", "--config", f"{transport}:{built.archive}"))
    assert config["rootfs"]["diff_ids"] == list(built.image.diff_ids)
    inspected = json.loads(_output("skopeo", "inspect", f"{transport}:{built.archive}"))
    assert inspected["Env"] == built.image.config["config"]["Env"]
    assert len(inspected["Layers"]) == len(built.image.diff_ids)


@pytest.mark.parametrize("name", NAMES)
def test_skopeo_copies_the_store_as_an_oci_layout(lab: Lab, name: str, tmp_path: Path) -> None:
    built = lab.case(name)
    assert built.image is not None, built.first.printed
    source = f"oci:{lab.program.store}:docker.io/library/{name}:latest"
    _output("skopeo", "copy", "--insecure-policy", source, f"docker-archive:{tmp_path / 'copy.tar'}:{name}:copied")
    copied = trees.read_archive(tmp_path / "copy.tar")
    assert copied.config == built.image.config
    assert copied.diff_ids == built.image.diff_ids


@pytest.mark.parametrize("name", NAMES)
def test_umoci_unpacks_the_same_tree(lab: Lab, name: str, tmp_path: Path) -> None:
    built = lab.case(name)
    assert built.image is not None, built.first.printed
    layout = tmp_path / "layout"
    _output("skopeo", "copy", "--insecure-policy", f"oci-archive:{built.archive}", f"oci:{layout}:it")
    _output("umoci", "unpack", "--image", f"{layout}:it", os.fspath(tmp_path / "bundle"))
    unpacked = trees.read_directory(tmp_path / "bundle" / "rootfs")
    assert list(trees.differences(built.image.tree, unpacked, started=1 << 62)) == []


def test_archive_is_an_oci_layout(lab: Lab, tmp_path: Path) -> None:
    built = lab.case("stages-diamond")
    _output("tar", "--extract", "--file", os.fspath(built.archive), "--directory", os.fspath(tmp_path))
    assert json.loads((tmp_path / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert _output("umoci", "list", "--layout", os.fspath(tmp_path)).split() != []


@pytest.mark.parametrize("command", [("mutate", "-e", "ADDED=1", "--annotation", "a=b"), ("flatten",)])
@pytest.mark.parametrize("name", cases.parameters(("run-deletes", "web-site")))
def test_others_read_what_is_made_without_a_build(
    lab: Lab, name: str, command: tuple[str, ...], tmp_path: Path
) -> None:
    built = lab.case(name)
    assert built.image is not None, built.first.printed
    made = f"{name}:{command[0]}"
    lab.program.run(command[0], name, "-t", made, *command[1:])
    source = f"oci:{lab.program.store}:docker.io/library/{made}"
    config = json.loads(_output("skopeo", "inspect", "--config", source))
    expected = built.image.config["config"]["Env"]
    assert config["config"]["Env"] == ([*expected, "ADDED=1"] if command[0] == "mutate" else expected)
    layout = tmp_path / "layout"
    _output("skopeo", "copy", "--insecure-policy", source, f"oci:{layout}:it")
    _output("umoci", "unpack", "--image", f"{layout}:it", os.fspath(tmp_path / "bundle"))
    unpacked = trees.read_directory(tmp_path / "bundle" / "rootfs")
    assert list(trees.differences(built.image.tree, unpacked, started=1 << 62)) == []
