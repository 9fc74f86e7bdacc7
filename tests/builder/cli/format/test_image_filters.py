import time
from dataclasses import replace

import pytest

from pybuild.builder.oci.image import write_image
from tests.builder.cli.conftest import Shop


def dated(shop: Shop, name: str, created: str) -> None:
    image = shop.image("scratch:1")
    other = write_image(shop.store.blobs, replace(image.config, created=created), image.manifest.layers)
    shop.store.layout.untag("docker.io/library/scratch:1")
    shop.store.layout.tag(f"docker.io/library/{name}", other.descriptor)


@pytest.fixture
def years(shop: Shop) -> Shop:
    """Images made in 2021, 2022 and 2023, and one that does not tell."""
    for year in (2021, 2022, 2023):
        dated(shop, f"y:{year}", f"{year}-06-01T00:00:00Z")
    dated(shop, "y:unknown", "")
    return shop


def tags(shop: Shop, *filters: str) -> set[str]:
    words = [word for text in filters for word in ("--filter", text)]
    result = shop.run("images", "--format", "{{.Tag}}", *words)
    assert (result.code, result.err) == (0, "")
    return set(result.lines)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["before=y:2022"], {"2021", "unknown"}),
        (["since=y:2021"], {"2022", "2023"}),
        (["since=y:2021", "before=y:2023"], {"2022"}),
        (["before=y:2023", "before=y:2022"], {"2021", "unknown"}),
        (["since=y:2021", "since=y:2022"], {"2023"}),
        (["until=2022-06-02"], {"2021", "2022", "unknown"}),
        (["until=2022-06-01T00:00:00Z"], {"2021", "unknown"}),
        (["until=2022-06-01T01:00:00+02:00"], {"2021", "unknown"}),
        (["until=1640995200"], {"2021", "unknown"}),
        (["until=1640995200.5", "since=y:2021"], set()),
        (["reference=y:2021", "reference=y:2023"], {"2021", "2023"}),
        (["reference=y:2021", "since=y:2022"], set()),
    ],
)
def test_filters_choose_by_the_time_of_creation(years: Shop, filters: list[str], expected: set[str]) -> None:
    assert tags(years, *filters) == expected


def test_a_duration_counts_back_from_now(shop: Shop) -> None:
    dated(shop, "y:new", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 7200)))
    assert tags(shop, "until=1h") == {"new"}
    assert tags(shop, "until=3h") == set()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("before=nope", 1),
        ("since=y:unknown", 2),
        ("until=yesterday", 2),
        ("until=2022-13-01", 2),
        ("until=", 2),
        ("size=1", 2),
        ("dangling=maybe", 2),
        ("dangling=tRUE", 2),
    ],
)
def test_what_has_no_meaning_is_refused(years: Shop, text: str, code: int) -> None:
    result = years.run("images", "--filter", text)
    assert (result.code, result.out, "Traceback" in result.err) == (code, "", False)


def test_help_names_the_filters(shop: Shop) -> None:
    assert "before, dangling, label, reference, since, until" in " ".join(shop.run("images", "--help").out.split())
