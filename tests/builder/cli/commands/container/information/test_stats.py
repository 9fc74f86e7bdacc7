"""The columns of ``stats``; what a running container uses is in `access/test_diff.py`."""

from types import SimpleNamespace

import pytest

from pybuild.builder.cli.commands.container.information import stats
from pybuild.builder.containers.usage import Usage

ONE = SimpleNamespace(id="0123456789abcdef", name="one")


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (1023, "1023B"), (1024, "1KiB"), (1536, "1.5KiB"), (3 << 20, "3MiB"), (1 << 50, "1024TiB")],
)
def test_sizes_are_in_binary_units(size: int, text: str) -> None:
    assert stats._binary(size) == text


def test_the_share_of_a_processor_is_that_of_the_last_second() -> None:
    before, now = Usage(cpu=5 * 10**9), Usage(cpu=55 * 10**8, memory=1 << 20, limit=4 << 20, processes=3)
    row = stats._row(ONE, {ONE.id: before}, now, whole=False)
    assert (row["CPUPerc"], row["MemPerc"], row["MemUsage"]) == ("50.00%", "25.00%", "1MiB / 4MiB")
    assert (row["ID"], row["Name"], row["PIDs"]) == ("0123456789ab", "one", "3")


def test_a_container_that_has_ended_or_was_started_again_uses_nothing() -> None:
    for before, now in ((None, None), (Usage(cpu=9), None), (Usage(cpu=9), Usage(cpu=1))):
        row = stats._row(ONE, {ONE.id: before}, now, whole=True)
        assert (row["CPUPerc"], row["MemPerc"], row["ID"]) == ("0.00%", "0.00%", ONE.id)
