"""The helper that looks for what a killed builder left finds it, in whatever namespace it is."""

import os
import signal
import subprocess
from pathlib import Path

from tests.helpers.hosts import need_programs, need_root
from tests.helpers.leftovers import now, processes_of, servers, strays, wait_until_no_process, wait_until_no_server
from tests.runtime.processes import ends, running
from tests.runtime.sandboxes import Image


def test_a_process_in_another_namespace_is_a_stray_once_nobody_is_above_it() -> None:
    need_root()
    need_programs(["unshare"])
    begin, mark = now(), f"1234567.{os.getpid()}"
    with subprocess.Popen(["unshare", "--pid", "--fork", "sleep", mark]) as above:
        inside: list[str] = []
        while not inside:
            inside = [line for line in processes_of(mark) if line.endswith(f": sleep {mark} ")]
        assert inside[0] not in strays(begin)
        above.kill()
        above.wait()
        assert inside[0] in strays(begin)
        assert inside[0] not in strays(now() + 1)
        number = inside[0].partition(":")[0]
        # As if another session had started it.
        Path(f"/proc/{number}/timerslack_ns").write_text("49999")
        assert inside[0] not in strays(begin)
        os.kill(int(number), signal.SIGKILL)
    assert wait_until_no_process(mark) == []


def test_a_fork_server_without_its_builder_is_found_although_it_is_stopped(image: Image) -> None:
    begin = now()
    with running(image, "sh", "-c", "echo up; exec sleep 1000") as chain:
        server, builder = os.pidfd_open(chain.server), os.pidfd_open(chain.builder)
        signal.pidfd_send_signal(server, signal.SIGSTOP)
        assert servers(begin) == []
        signal.pidfd_send_signal(builder, signal.SIGKILL)
        assert ends(builder)
        assert [line.partition(":")[0] for line in servers(begin) if line.endswith("(T)")] == [str(chain.server)]
        signal.pidfd_send_signal(server, signal.SIGCONT)
        assert wait_until_no_server(begin) == []
        os.close(server)
        os.close(builder)
