"""The faults of `tests.torture`, a few of each; `make torture` has as many as one likes."""

import pytest

from tests import torture
from tests.kills import RUNGS


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_a_few_of_each_fault(capsys: pytest.CaptureFixture[str]) -> None:
    code = torture.main(["--root=12", "--userns=6", "--single=6", "--chroot=8", "--crowd=2", "--points=6", "--cuts=6"])
    told = capsys.readouterr().out
    assert code == 0, told
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        *RUNGS,
        "crowd",
        "points",
        "cuts",
    ]
