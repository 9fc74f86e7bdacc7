"""What the flags of prune make of their values."""

from typing import Any

import pytest

from pybuild.builder.cli.flags.prune import PruneFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.prune.policy import Policy


def wanted(**flags: Any) -> Policy:
    return PruneFlags(**flags).policy()


def test_nothing_is_no_limit() -> None:
    assert wanted().is_empty


def test_filters_and_sizes_limit_what_goes() -> None:
    assert wanted(filters=("until=1h", "type=exec.cachemount"), max_used_space="2k") == Policy(
        until=3600.0, kind="exec.cachemount", max_used_space=2048
    )


def test_the_newer_name_counts_for_more_than_the_older() -> None:
    assert wanted(keep_storage="1k", reserved_space="2k").reserved_space == 2048
    assert wanted(keep_storage="1k").reserved_space == 1024


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"filters": ("age=1h",)}, "--filter: 'age' is not supported"),
        ({"filters": ("type=image",)}, "--filter: there is no type 'image'"),
        ({"filters": ("until=soon",)}, "--filter until"),
        ({"min_free_space": "much"}, "invalid --min-free-space"),
    ],
)
def test_a_wrong_limit_names_its_flag(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        wanted(**flags)
