"""What a hostile Dockerfile or image asks for in vain: rows of the threat list that only a whole build can show."""

import hashlib
import json
import socket
import tarfile
from pathlib import Path

import pytest

from tests.helpers import trees
from tests.helpers.images import tar_of, tiny_config
from tests.helpers.program import Built, Program, built

SECRET = "of the host alone"


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    path = tmp_path / "canary"
    path.write_text(SECRET)
    return path


def attack(program: Program, directory: Path, dockerfile: str, *options: str) -> Built:
    """Build *dockerfile*; what goes wrong is said without a traceback."""
    context = directory / "context"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text(dockerfile)
    words = ("build", "--progress=plain", *options, "-t", "built", str(context))
    result = program.run(*words, check=False)
    assert "Traceback" not in result.stderr
    return built(result.returncode, result.stderr)


@pytest.mark.parametrize("number", [3, 7, 8, 12])
def test_a01_a_working_directory_below_proc_leads_to_no_directory_of_the_host(
    program: Program, tmp_path: Path, canary: Path, number: int
) -> None:
    climb = "../" * 12 + str(canary).lstrip("/")
    text = f"FROM small\nWORKDIR /proc/self/fd/{number}\nRUN cat {climb} ./{canary.name} 2>&1; true\n"
    assert SECRET not in attack(program, tmp_path, text).printed


def test_a11_a_mount_has_no_propagation(program: Program, tmp_path: Path) -> None:
    text = "FROM small\nRUN --mount=type=bind,target=/x,bind-propagation=shared true\n"
    failed = attack(program, tmp_path, text)
    assert failed.exit_code == 2
    assert "unexpected key 'bind-propagation'" in failed.printed


@pytest.mark.parametrize(
    "step",
    [
        "RUN --security=insecure true",
        "RUN --security=insecure <<end\ntrue\nend",
        "RUN --security=Insecure true",
        "RUN --security=2 true",
        "ONBUILD RUN --security=insecure true\nFROM first",
    ],
)
def test_a12_a_step_gets_no_privilege_that_the_user_did_not_allow(program: Program, tmp_path: Path, step: str) -> None:
    failed = attack(program, tmp_path, f"FROM small AS first\n{step}\n")
    assert failed.exit_code == 2, failed.printed
    assert failed.executed == []


def test_a23_abstract_sockets_of_the_host_are_not_there_without_network(program: Program, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{tmp_path}")
        listening.listen()
        text = f"FROM small\nRUN ! grep -F '@{tmp_path}' /proc/net/unix\n"
        assert attack(program, tmp_path, text, "--network=none").exit_code == 0
        # The default is the network of the host. Its sockets are seen there, but see tests/runtime/sandbox/inside/test_privileges.py.
        assert attack(program, tmp_path, text).exit_code == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("WorkingDir", "../../../w"),
        ("WorkingDir", "/proc/../../w"),
        ("User", "root:$(x)"),
        ("Env", ["no-equals", "A=b\nC=d"]),
        ("Volumes", {"../../../v": {}}),
    ],
)
def test_b26_paths_and_names_in_the_config_of_a_base_stay_inside(
    program: Program, tmp_path: Path, setting: str, value: object
) -> None:
    (tmp_path / "evil.tar").write_bytes(evil_archive(setting, value))
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    loaded = program.run("load", "-i", str(tmp_path / "evil.tar"), check=False)
    assert "Traceback" not in loaded.stderr
    done = attack(program, tmp_path, "FROM evil\nCOPY Dockerfile here/\n") if loaded.returncode == 0 else None
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before
    if done is not None and done.exit_code == 0:
        image = trees.read_archive(program.save("built", tmp_path / "built.tar"))
        assert "/w/here/Dockerfile" in image.tree or "/here/Dockerfile" in image.tree


def evil_archive(setting: str, value: object) -> bytes:
    """A docker archive of the image ``evil``, whose config says *value* for *setting*."""
    layer = tar_of({"f": b""})
    document = json.loads(tiny_config([layer]).to_json())
    document["config"][setting] = value
    config = json.dumps(document).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    table = json.dumps([{"Config": name, "RepoTags": ["evil:latest"], "Layers": ["layer.tar"]}]).encode()
    return tar_of({name: config, "layer.tar": layer, "manifest.json": table})


def test_b23_the_history_of_an_image_answers_for_no_step(program: Program, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    (tmp_path / "context/step").write_text("planted")
    attack(program, tmp_path, "FROM small\nCOPY step /step\n")
    # The same image, but by its own word the result of the step that the victim will run on this very base.
    with tarfile.open(program.save("built", tmp_path / "built.tar")) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]
    [table] = json.loads(files["manifest.json"])
    config = json.loads(files[table["Config"]])
    config["history"][-1]["created_by"] = "RUN /bin/sh -c echo honest > /step # buildkit"
    name = f"{hashlib.sha256(json.dumps(config).encode()).hexdigest()}.json"
    layers = {layer: files[layer] for layer in table["Layers"]}
    table = json.dumps([{**table, "Config": name, "RepoTags": ["evil:latest"]}]).encode()
    (tmp_path / "evil.tar").write_bytes(tar_of({name: json.dumps(config).encode(), **layers, "manifest.json": table}))
    program.run("load", "-i", str(tmp_path / "evil.tar"))
    done = attack(program, tmp_path, "FROM small\nRUN echo honest > /step\n")
    assert (done.cached, len(done.executed)) == ([], 1)
    assert trees.read_archive(program.save("built", tmp_path / "own.tar")).tree["/step"].text == b"honest\n"
