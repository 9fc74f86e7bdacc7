"""On a machine of its own: limits by control groups of version 2, and what is there after the power was cut."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.thorough import BEFORE_A_RELEASE
from tests.helpers.virtual_machine import Shell, VirtualMachine, is_installed

pytestmark = [
    *BEFORE_A_RELEASE,
    # The emulator needs minutes to start, more where the host is busy.
    pytest.mark.timeout(3600),
    pytest.mark.skipif(not is_installed(), reason="needs root and qemu-system-x86"),
]

_README = Path(__file__).parents[2] / "README.md"
_BOX = r"""
mkdir -p ~/context && cd ~/context && cp /bin/busybox .
printf '#!/bin/sh\nx=$(head -c 40000000 /dev/zero | tr "\\0" x)\n' > hungry
printf 'FROM scratch\nCOPY --chmod=755 busybox hungry /bin/\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\n' > Dockerfile
printf 'FROM box\nRUN hungry\n' > limited
pybuild -q -t box .
"""
_LIMITED_BUILD = "pybuild -f ~/context/limited --network none --memory 16m ~/context"
_KILLED = "note: the kernel killed a process: memory is limited to 16777216 bytes"
_GROUPS = "find /sys/fs/cgroup/pybuild -mindepth 1 -type d | wc -l"


@pytest.fixture
def machine(tmp_path: Path) -> VirtualMachine:
    return VirtualMachine(tmp_path)


@pytest.fixture
def shell(machine: VirtualMachine) -> Iterator[Shell]:
    with machine.on() as shell:
        yield shell


def test_limits_are_kept_by_control_groups_of_version_2(shell: Shell) -> None:
    assert shell.run("stat -fc %T /sys/fs/cgroup").text == "cgroup2fs\n"
    shell.run(_BOX)

    build = shell.run(_LIMITED_BUILD, check=False)
    assert build.code == 1
    assert _KILLED in build.text
    assert "exit code: 137" in build.text
    forks = shell.run(
        "pybuild run --rm --pids-limit 6 box sh -c 'for i in 1 2 3 4 5 6 7; do sleep 1 & done'", check=False
    )
    assert forks.code
    assert "can't fork" in forks.text
    hungry = shell.run("pybuild run --name hungry --memory 16m box hungry", check=False)
    assert hungry.code == 137
    assert shell.run("pybuild inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}}' hungry").text == "true 137\n"

    shell.run("pybuild run -d --name idle --memory 64m --cpus 0.5 --pids-limit 50 box sleep 10000")
    limits = "pybuild exec idle sh -c 'cd /sys/fs/cgroup && cat memory.max cpu.max pids.max'"
    assert shell.run(limits).text.split() == ["67108864", "50000", "100000", "52"]
    assert "/ 64MiB 1" in shell.run("pybuild stats --no-stream --format '{{.MemUsage}} {{.PIDs}}' idle").text
    shell.run("pybuild pause idle")
    assert "(Paused)" in shell.run("pybuild ps --format '{{.Status}}'").text
    shell.run("pybuild unpause idle && pybuild update --memory 96m --memory-swap 96m --cpus 1 idle")
    assert shell.run(limits).text.split() == ["100663296", "100000", "100000", "52"]

    assert shell.run(_GROUPS).text != "0\n"
    shell.run("pybuild rm -f idle hungry")
    assert shell.run(_GROUPS).text == "0\n"


def test_a_user_has_limits_in_a_delegated_control_group(shell: Shell) -> None:
    def by_alice(script: str, *before: str) -> str:
        shell.run(f"cat > /home/alice/script <<'END'\n{script}\nEND")
        manager = "XDG_RUNTIME_DIR=/run/user/1000"
        words = ("runuser -u alice -- env HOME=/home/alice", manager, *before, "sh /home/alice/script")
        return shell.run(f"cd /home/alice && {' '.join(words)}", check=False).text

    shell.run("loginctl enable-linger alice && until test -S /run/user/1000/bus; do sleep 1; done")
    by_alice(_BOX)
    assert _KILLED in by_alice(_LIMITED_BUILD, "systemd-run --user --scope --quiet --property Delegate=yes")
    undelegated = by_alice(_LIMITED_BUILD)
    assert _KILLED not in undelegated
    assert "not kept: no control group here holds more" in undelegated


def test_a_cut_of_power_loses_nothing_that_was_named(machine: VirtualMachine) -> None:
    draw = random.Random(7)
    with machine.on() as shell:
        shell.run(_BOX)
        unit = _README.read_text().split("```ini\n")[1].split("```")[0]
        shell.run(f"cat > /etc/systemd/system/pybuild.service <<'END'\n{unit}END\nsystemctl enable pybuild")
        shell.run("pybuild run --rm -v data:/data box sh -c 'echo kept > /data/file && sync'")
        shell.run("pybuild run -d --name server --restart always -v data:/data box sleep 100000")
        shell.run("pybuild run -d --name once box sh -c 'echo own > /file && sync && sleep 100000'")
        shell.run("pybuild run --name ended box sh -c 'exit 3'", check=False)
        _build_for_ever(shell)
        while int(shell.run("wc -l < /built").text) < 3:
            time.sleep(1)
        time.sleep(draw.random() * 5)

    with machine.on() as shell:
        _check_images(shell, shell.run("cat /built").text.split())
        shell.run("systemctl is-active pybuild")
        found = shell.run("pybuild ps -a --format '{{.Names}} {{.Status}}' | sort").text.splitlines()
        assert [" ".join(line.split()[:3]) for line in found if not line.startswith("server")] == [
            "ended Exited (3)",
            "once Exited (255)",
        ]
        assert any(line.startswith("server Up") for line in found), found
        assert shell.run("pybuild exec server cat /data/file").text == "kept\n"
        shell.run("pybuild start once")
        assert shell.run("pybuild exec once cat /file").text == "own\n"
        shell.run(
            "printf 'FROM box\\nRUN true\\n' | pybuild -q -t later - && pybuild rm -f server once ended && pybuild prune -af"
        )


def _build_for_ever(shell: Shell) -> None:
    """Begin builds, one after the other; the file ``/built`` has the names of those that have ended."""
    shell.run("touch /built && sync")
    shell.run("""(
        n=0
        while n=$((n + 1)); do
            printf 'FROM box\\nRUN echo %s > /name\\nRUN head -c 1000000 /dev/urandom > /random\\n' image$n |
                pybuild -q -t image$n - && echo image$n >> /built && sync /built
        done
    ) > /dev/null 2>&1 &""")


def _check_images(shell: Shell, names: list[str]) -> None:
    assert len(names) >= 3
    for name in names:
        assert shell.run(f"pybuild run --rm {name} cat /name").text == f"{name}\n"
    wrong = shell.run("cd /var/lib/pybuild/blobs/sha256 && for f in *; do echo $f  $f; done | sha256sum --quiet -c")
    assert not wrong.text, wrong.text
