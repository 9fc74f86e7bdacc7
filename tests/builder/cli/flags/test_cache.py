from typing import Any

import pytest

from pybuild.builder.caches.places import InlineCache
from pybuild.builder.cli.flags.cache import CacheFlags
from pybuild.builder.errors import RequestError
from pybuild.builder.request import Changes


def values(build_args: dict[str, str] | None = None, /, **flags: Any) -> Changes:
    return CacheFlags(**flags).request(build_args or {})


def test_stages_and_an_age_limit_the_cache() -> None:
    given = values(no_cache_filter=("a,B", "c", ""), cache_ttl="1h30m")
    assert (given["no_cache_filter"], given["cache_ttl"]) == (("a", "B", "c"), 5400)
    assert (values()["no_cache_filter"], values()["cache_ttl"]) == ((), None)


@pytest.mark.parametrize("text", ["", "1", "tomorrow", "-1h", "1d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(RequestError, match="--cache-ttl"):
        values(cache_ttl=text)


@pytest.mark.parametrize("text", ["1", "t", "TRUE"])
def test_a_build_argument_asks_for_an_inline_cache(text: str) -> None:
    assert values({"BUILDKIT_INLINE_CACHE": text})["cache_to"] == (InlineCache(),)


@pytest.mark.parametrize("text", ["0", "F", "maybe", ""])
def test_any_other_value_of_it_asks_for_nothing_as_in_docker(text: str) -> None:
    assert values({"BUILDKIT_INLINE_CACHE": text})["cache_to"] == ()
