import io
import tarfile
from pathlib import Path

from tests.builder.cli.commands.container.conftest import until
from tests.builder.cli.conftest import Shop

SCRIPT = "echo x > /new; mkdir /dir; echo y > /dir/f; rm /etc/motd; echo z >> /etc/group"


def test_changes_are_told_as_docker_tells_them(pen: Shop) -> None:
    pen.run("run", "--name", "one", "box", "sh", "-c", SCRIPT)
    expected = ["A /dir", "A /dir/f", "C /etc", "C /etc/group", "D /etc/motd", "A /new"]
    assert pen.run("diff", "one").lines == expected
    assert pen.run("container", "diff", "one").lines == expected
    pen.run("run", "-d", "--name", "two", "box", "sh", "-c", f"{SCRIPT}; sleep 1000")
    until(lambda: pen.run("diff", "two").lines == expected)
    pen.run("create", "--name", "three", "-v", "/data", "-w", "/", "box")
    assert pen.run("diff", "three").out == ""


def test_an_export_has_what_image_and_container_have(pen: Shop, tmp_path: Path) -> None:
    pen.run("run", "--name", "one", "-v", "/data", "box", "sh", "-c", f"{SCRIPT}; echo v > /data/f")
    assert pen.run("export", "-o", str(tmp_path / "out.tar"), "one").code == 0
    with tarfile.open(tmp_path / "out.tar") as tar:
        names = set(tar.getnames())
        assert {"new", "dir/f", "etc/group", "bin/sh"} <= names
        assert not {"etc/motd", "data/f"} & names
        file = tar.extractfile("new")
        assert isinstance(file, io.BufferedReader)
        assert file.read() == b"x\n"


def test_a_commit_is_an_image_of_the_container(pen: Shop) -> None:
    pen.run(
        "run",
        "-d",
        "--name",
        "one",
        "-e",
        "B=run",
        "-l",
        "mine=1",
        "-w",
        "/dir",
        "box",
        "sh",
        "-c",
        f"{SCRIPT}; sleep 1000",
    )
    until(lambda: pen.run("exec", "one", "cat", "/etc/group").out.endswith("z\n"))
    made = pen.run("commit", "-m", "why", "-a", "me", "-c", 'CMD ["cat", "f"]', "one", "made:1")
    assert (made.code, made.out.startswith("sha256:")) == (0, True)
    assert pen.run("ps", "--format", "{{.State}}").out == "running\n"
    assert pen.run("run", "made:1").out == "y\n"
    assert pen.run("run", "made:1", "sh", "-c", "echo $A $B; ls /etc/motd").out == "image run\n"
    form = "{{.Author}} {{.Comment}} {{.Config.Labels.mine}} {{.Config.WorkingDir}}"
    assert pen.run("inspect", "-f", form, "made:1").out == "me why 1 /dir\n"
    assert len(pen.run("commit", "one").lines) == 1
    missing = pen.run("commit", "nope")
    assert (missing.code != 0, "No such container: nope" in missing.err) == (True, True)


def test_stats_count_what_a_container_uses(pen: Shop) -> None:
    pen.run("run", "-d", "--name", "one", "-m", "64m", "box", "sh", "-c", "while :; do :; done")
    row = pen.run("stats", "--no-stream", "--format", "{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.PIDs}}").out.split()
    assert row[0] == "one"
    assert 5 < float(row[1].rstrip("%")) < 250
    assert row[3:5] == ["/", "64MiB"]
    assert row[5] == "1"
    assert pen.run("stats", "--no-stream").lines[0].split("  ")[0] == "CONTAINER ID"
