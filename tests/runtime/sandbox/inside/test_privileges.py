"""What a process may do when its program begins."""

import errno
import socket
from pathlib import Path

import pytest

from pybuild.runtime.sandbox.spec import Network
from tests.helpers.hosts import need_kernel
from tests.runtime.sandboxes import Image, python, python_image


@pytest.mark.parametrize(("user", "effective"), [("", "00000000a80425fb"), ("user", "0" * 16)])
def test_capabilities_are_dockers_and_none_is_inheritable(image: Image, user: str, effective: str) -> None:
    status = dict(line.split(":\t") for line in image.shell("cat /proc/self/status", user=user).out.splitlines())
    assert (status["CapEff"], status["CapPrm"], status["CapBnd"]) == (effective, effective, "00000000a80425fb")
    assert (status["CapInh"], status["CapAmb"]) == ("0" * 16, "0" * 16)
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("0", "2")


def test_privilege_gain_can_be_switched_off(image: Image) -> None:
    assert "NoNewPrivs:\t1" in image.shell("cat /proc/self/status", no_new_privileges=True).out


def test_abstract_sockets_of_the_host_are_out_of_reach_on_its_network(tmp_path: Path, base: Path) -> None:
    need_kernel(6, 12)
    name = f"\0{tmp_path}"
    script = (
        "import socket, sys\n"
        "own = socket.socket(socket.AF_UNIX); own.bind('\\0own'); own.listen()\n"
        "socket.socket(socket.AF_UNIX).connect('\\0own')\n"
        f"print(socket.socket(socket.AF_UNIX).connect_ex({name!r}))\n"
    )
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        image = python_image(tmp_path, base)
        confined = python(image, script, network=Network.HOST)
        insecure = python(image, script, network=Network.HOST, insecure=True)
    assert (confined.out, insecure.out) == (f"{errno.EPERM}\n", "0\n")


def test_insecure_means_all_capabilities_and_no_filter(image: Image) -> None:
    result = image.shell(
        "cat /proc/self/status; echo; mkdir /m && busybox mount -t tmpfs x /m && echo ok", insecure=True
    )
    own = Path("/proc/self/status").read_text()
    held = next(line for line in own.splitlines() if line.startswith("CapPrm"))
    assert held in result.out
    assert "Seccomp:\t0" in result.out
    assert result.out.endswith("ok\n")
