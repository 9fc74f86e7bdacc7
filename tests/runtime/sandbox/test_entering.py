import asyncio
import threading

import pytest

from pybuild.runtime.errors import SandboxUnavailable
from pybuild.runtime.sandbox.entering import need_one_thread


def test_a_process_of_several_threads_is_refused() -> None:
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    try:
        with pytest.raises(SandboxUnavailable, match="several threads"):
            need_one_thread()
    finally:
        end.set()
        other.join()


def test_a_running_event_loop_is_refused() -> None:
    async def ask() -> None:
        need_one_thread()

    with pytest.raises(SandboxUnavailable, match="running event loop"):
        asyncio.run(ask())
