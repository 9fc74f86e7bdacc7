"""The helper that looks for what a killed builder left finds it, in whatever namespace it is."""

import os
import signal
import subprocess

from tests.helpers.hosts import need_programs, need_root
from tests.helpers.leftovers import now, processes_of, strays, wait_until_no_process


def test_a_process_in_another_namespace_is_a_stray_once_nobody_is_above_it() -> None:
    need_root()
    need_programs(["unshare"])
    begin, mark = now(), "1234567.25"
    with subprocess.Popen(["unshare", "--pid", "--fork", "sleep", mark]) as above:
        inside: list[str] = []
        while not inside:
            inside = [line for line in processes_of(mark) if line.endswith(f": sleep {mark} ")]
        assert inside[0] not in strays(begin)
        above.kill()
        above.wait()
        assert inside[0] in strays(begin)
        assert inside[0] not in strays(now() + 1)
        os.kill(int(inside[0].partition(":")[0]), signal.SIGKILL)
    assert wait_until_no_process(mark) == []
