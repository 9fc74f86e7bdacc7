import time

import pytest

from pybuild.runtime.monitor.restarts import Restarts
from pybuild.runtime.monitor.settings import ALWAYS, NEVER, ON_FAILURE, UNLESS_STOPPED, Restart


@pytest.mark.parametrize(
    ("policy", "most", "codes", "wanted"),
    [
        (NEVER, 0, (0, 1), (False, False)),
        (ON_FAILURE, 0, (1, 0, 137), (True, False, True)),
        (ON_FAILURE, 2, (1, 1, 1), (True, True, False)),
        (ALWAYS, 0, (0, 1), (True, True)),
        (UNLESS_STOPPED, 0, (0, 1), (True, True)),
    ],
)
def test_policies_are_dockers(policy: bytes, most: int, codes: tuple[int, ...], wanted: tuple[bool, ...]) -> None:
    restarts = Restarts(Restart(most, policy))
    assert tuple(map(restarts.wanted, codes)) == wanted
    assert restarts.count == sum(wanted)


def test_pauses_double_up_to_a_minute_and_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    restarts = Restarts(Restart(0, ALWAYS))
    pauses = []
    for _ in range(12):
        restarts.begin()
        restarts.wanted(1)
        pauses.append(restarts.milliseconds)
    assert [pause // 100 for pause in pauses] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    restarts.begin()
    now += 10
    restarts.wanted(1)
    assert restarts.milliseconds // 100 == 1
    now += 1
    assert restarts.milliseconds == 0
