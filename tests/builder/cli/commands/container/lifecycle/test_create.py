import json
from pathlib import Path

from tests.builder.cli.commands.container.conftest import masked
from tests.builder.cli.conftest import Shop


def test_a_container_is_what_image_and_flags_say(pen: Shop) -> None:
    words = (
        "-e",
        "B=flag",
        "-e",
        "A",
        "-l",
        "mine",
        "-w",
        "/tmp",
        "-u",
        "alice",
        "--stop-signal",
        "INT",
        "-h",
        "inner",
    )
    created = pen.run("create", "--name", "one", *words, "--entrypoint", "sh", "box", "-c", "true")
    assert (created.code, len(created.out)) == (0, 65)
    found = json.loads(pen.run("inspect", "one").out)[0]
    assert found["Id"] == created.out.strip()
    assert (found["Name"], found["Path"], found["Args"]) == ("/one", "sh", ["-c", "true"])
    config = found["Config"]
    assert config["Env"] == ["B=flag", "PATH=/bin"]
    assert (config["Labels"], config["User"], config["WorkingDir"]) == ({"of": "image", "mine": ""}, "alice", "/tmp")
    assert (config["Entrypoint"], config["Cmd"], config["Hostname"]) == (["sh"], ["-c", "true"], "inner")
    assert (found["State"]["Status"], found["State"]["Pid"], config["StopSignal"]) == ("created", 0, "INT")


def test_names_are_unique_and_checked(pen: Shop) -> None:
    first = pen.run("create", "--name", "one", "box").out.strip()
    again = pen.run("create", "--name", "/one", "box")
    assert again.code == 1
    assert f'Conflict. The container name "/one" is already in use by container "{first}".' in again.err
    wrong = pen.run("create", "--name", "-x", "box")
    assert (wrong.code, "Invalid container name (-x)" in wrong.err) == (1, True)
    assert pen.run("create", "box").code == 0
    assert len(pen.run("ps", "-aq").lines) == 2
    assert masked(pen.run("ps", "-a", "--format", "{{.Status}} {{.Command}}").out) == 'Created "echo default"\n' * 2


def test_the_id_is_written_to_a_new_file_only(pen: Shop, tmp_path: object) -> None:
    file = f"{tmp_path}/id"
    created = pen.run("create", "--cidfile", file, "box")
    with open(file, encoding="ascii") as opened:
        assert opened.read() == created.out.strip()
    again = pen.run("create", "--cidfile", file, "box")
    assert (again.code, "container ID file found" in again.err) == (1, True)
    assert len(pen.run("ps", "-aq").lines) == 1


def test_where_the_id_cannot_be_written_or_nothing_is_created_neither_is_left(pen: Shop, tmp_path: Path) -> None:
    assert pen.run("create", "--cidfile", str(tmp_path / "no/id"), "box").code != 0
    assert pen.run("create", "--cidfile", str(tmp_path / "id"), "nosuch:image").code != 0
    missing = pen.run("create", "--cidfile", str(tmp_path / "id"), "--network", "bridge", "--link", "nosuch", "box")
    assert (missing.code, "No such container: nosuch" in missing.err) == (1, True), missing.err
    assert pen.run("ps", "-aq").lines == []
    assert not (tmp_path / "id").exists()


def test_what_cannot_be_is_refused_and_leaves_nothing(pen: Shop) -> None:
    for words, text in (
        (("--network", "bridge", "--ip", "10.1.2.3"), "supported on user defined networks only"),
        (("--restart", "never"), "unknown policy 'never'"),
        (("--rm", "--restart", "always"), "cannot specify both --restart and --rm"),
        (("-v", "data:relative"), "mount path must be absolute"),
        (("-w", "relative"), "needs to be an absolute path"),
        (("--stop-signal", "NOPE"), "invalid signal: NOPE"),
        (("--mount", "type=bind,source=/no/such,target=/x"), "bind source path does not exist: /no/such"),
        (("--log-opt", "nonsense=x"), "unknown log opt"),
    ):
        result = pen.run("create", *words, "box")
        # Docker's client refuses --ip, and --rm with --restart; its daemon refuses the rest.
        code = 125 if {"--ip", "--rm"}.intersection(words) else 1
        assert (result.code, text in result.err) == (code, True), result.err
    assert pen.run("create", "nope").code == 1
    assert pen.run("ps", "-aq").out == ""
    assert pen.run("volume", "ls", "-q").out == ""
