"""The faults of `tests.torture`, a few of each; `make torture` has as many as one likes."""

import pytest

from tests import power_loss, torture
from tests.helpers.hosts import need_programs
from tests.helpers.thorough import first_in_ci, long
from tests.kills import RUNGS

FEW = ["--root=4", "--userns=2", "--single=2", "--chroot=3", "--crowd=1", "--points=3", "--cuts=2"]
MORE = ["--root=12", "--userns=6", "--single=6", "--chroot=8", "--crowd=2", "--points=6", "--cuts=6"]


@long("torture")
@pytest.mark.parametrize("numbers", first_in_ci(FEW, MORE), ids=["few", "more"])
@pytest.mark.timeout(1200)
def test_a_few_of_each_fault(capsys: pytest.CaptureFixture[str], numbers: list[str]) -> None:
    need_programs([power_loss.DAEMON])
    code = torture.main(numbers)
    told = capsys.readouterr().out
    assert code == 0, told
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        *RUNGS,
        "crowd",
        "points",
        "cuts",
    ]
