"""What steps and commands may do, as asked for: the kernel's own word for it, as root and as an ordinary user."""

import json
import tarfile
from pathlib import Path

import pytest

from tests.helpers.contexts import write_context
from tests.helpers.program import Program

STATUS = "RUN grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; id -G; ls -l /dev\n"


def run(program: Program, *words: str) -> str:
    done = program.run("run", *words, check=False)
    return done.stdout + done.stderr


def test_flags_of_a_build_reach_its_steps(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "c", {"Dockerfile": f"FROM small\n{STATUS}"})
    usual = program.build(context).printed
    assert "CapEff:\t00000000a80425fb" in usual
    assert "Seccomp:\t2" in usual
    flags = ("--cap-drop=ALL", "--cap-add=NET_ADMIN", "--security-opt=no-new-privileges", "--group-add=audio")
    asked = program.build(
        context, "--no-cache", *flags, "--security-opt=seccomp=unconfined", "--device=/dev/null:/dev/extra"
    ).printed
    assert "CapEff:\t0000000000001000" in asked
    assert "NoNewPrivs:\t1" in asked
    assert "Seccomp:\t0" in asked
    assert " 0 63\n" in asked
    assert " extra\n" in asked


def test_flags_are_part_of_no_key_and_leave_nothing_in_the_layer(program: Program, tmp_path: Path) -> None:
    context = write_context(tmp_path / "c", {"Dockerfile": "FROM small\nRUN touch /made\n"})
    program.build(context, "--cap-add=NET_ADMIN", "--device=/dev/null:/dev/extra", "--group-add=5")
    assert program.build(context).executed == []
    paths = program.run("diff", "small", "built").stdout
    assert "/made" in paths
    assert "/dev" not in paths


def test_a_profile_of_the_user_is_the_filter(program: Program, tmp_path: Path) -> None:
    refused = {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}
    path = tmp_path / "profile.json"
    path.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [refused]}))
    option = f"--security-opt=seccomp={path}"
    assert "Operation not supported" in run(program, option, "small", "mkdir", "/x")
    assert run(program, option, "small", "sh", "-c", "touch /x; ls /x") == "/x\n"
    # The usual filter would have refused this; the kernel has its own reasons to.
    assert "unshare" not in run(
        program, "--security-opt=seccomp=unconfined", "--cap-add=SYS_ADMIN", "small", "unshare", "-m", "true"
    )
    assert "unshare" in run(program, "small", "unshare", "-m", "true")


def test_a_device_can_be_used_and_not_changed(program: Program) -> None:
    script = "echo x > /dev/sink && head -c 3 /dev/sink | wc -c; chmod 600 /dev/sink"
    printed = run(program, "--device=/dev/zero:/dev/sink", "small", "sh", "-c", script)
    assert printed.startswith("3\n")
    assert "Read-only file system" in printed


@pytest.mark.parametrize("target", ["/proc/x", "/sys/x", "/dev", "/dev/null", "/dev/pts/x"])
def test_a_device_takes_no_place_of_the_sandbox(program: Program, target: str) -> None:
    done = program.run("run", f"--device=/dev/zero:{target}", "small", "true", check=False)
    assert done.returncode == 125
    assert f"cannot mount on {target}: " in done.stderr


def test_a_root_file_system_in_a_directory(program: Program, tmp_path: Path) -> None:
    root = tmp_path / "root"
    program.run("export", "small", "-o", str(tmp_path / "x.tar"))
    root.mkdir()
    with tarfile.open(tmp_path / "x.tar") as tar:
        tar.extractall(root)
    assert run(program, "--rootfs", str(root), "sh", "-c", "echo kept > /made; ls /made") == "/made\n"
    assert (root / "made").read_text() == "kept\n"
    done = program.run("run", "--rootfs", str(tmp_path / "none"), "true", check=False)
    assert (done.returncode, "not a directory" in done.stderr) == (125, True)


def test_a_command_is_killed_after_its_time(program: Program) -> None:
    assert program.run("run", "--timeout=1", "small", "sleep", "1000", check=False).returncode == 137
    assert program.run("run", "--timeout=1000", "small", "true").returncode == 0
    done = program.run("run", "--timeout=5", "--name=x", "small", "true", check=False)
    assert (done.returncode, "--timeout is for a command without a container" in done.stderr) == (125, True)
