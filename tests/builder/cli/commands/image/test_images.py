import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from pybuild.builder.cli.commands.image.images import ago
from pybuild.builder.display.units import human_size
from pybuild.builder.image.catalog import content_size
from pybuild.builder.oci.image import Image, write_image
from pybuild.builder.oci.model import Platform
from tests.builder.cli.conftest import Shop
from tests.helpers.images import ARM64, tiny_image, tiny_index


def test_images_are_listed_in_the_columns_of_docker(shop: Shop) -> None:
    image = shop.image("tiny:1", "tiny:2")
    result = shop.run("images")
    assert re.fullmatch(r"REPOSITORY   TAG       IMAGE ID       CREATED       SIZE", result.lines[0])
    assert re.fullmatch(rf"tiny         1         {image.id.hex[:12]}   \d years ago   \d+B", result.lines[1])
    assert result.lines[2].startswith("tiny         2  ")


def test_an_image_without_a_name_is_dangling(shop: Shop) -> None:
    image = shop.image()
    assert shop.run("images").lines[1].startswith(f"<none>       <none>    {image.id.hex[:12]}")
    assert shop.run("images", "-q", "--filter", "dangling=false").out == ""
    assert shop.run("images", "-q", "--filter", "dangling=true").lines == [image.id.hex[:12]]


def test_the_listing_can_be_narrowed_by_name(shop: Shop) -> None:
    shop.image("tiny:1")
    shop.image("other:1", layers=({"y": b""},))
    tags = "{{.Repository}}:{{.Tag}}"
    assert shop.run("images", "--format", tags, "tiny").lines == ["tiny:1"]
    assert shop.run("images", "--format", tags, "--filter", "reference=ot*").lines == ["other:1"]
    assert shop.run("images", "--format", tags, "--filter", "label=x").out == ""
    assert shop.run("images", "--filter", "size=1").code == 2


def test_ids_digests_and_json(shop: Shop) -> None:
    image = shop.image("tiny:1")
    assert shop.run("images", "-q", "--no-trunc").lines == [str(image.id)]
    assert str(image.descriptor.digest) in shop.run("images", "--digests").out
    row = json.loads(shop.run("images", "--format", "json").out)
    assert (row["Repository"], row["Tag"], row["CreatedAt"]) == ("tiny", "1", "2024-01-02 03:04:05 +0000 UTC")


def test_templates_have_the_placeholders_and_functions_of_docker(shop: Shop) -> None:
    shop.image("tiny:1")
    form = '{{.Containers}} {{.SharedSize}} {{.UniqueSize}} {{printf "%s:%s" .Repository .Tag}} {{.Repository | title}}'
    assert shop.run("images", "--format", form).lines == ["N/A N/A N/A tiny:1 Tiny"]
    assert shop.run("images", "-q", "--format", "{{.Repository}}").lines == ["tiny"]
    assert shop.run("images", "--format", "table {{upper .Repository}}").lines == ["REPOSITORY", "TINY"]
    assert shop.run("images", "--format", "{{nope .ID}}").err.startswith('ERROR: template: function "nope" not defined')


def test_an_image_pulled_by_digest_has_no_tag(shop: Shop) -> None:
    image = shop.image("tiny:1")
    shop.store.layout.tag(f"registry.example/app@{image.descriptor.digest}", image.descriptor)
    rows = shop.run("images", "--format", "{{.Repository}} {{.Tag}}").lines
    assert rows == ["tiny 1", "registry.example/app <none>"]


@pytest.mark.parametrize("text", ["label", "dangling=perhaps", "nope=1"])
def test_filters_that_are_none_are_refused(shop: Shop, text: str) -> None:
    assert shop.run("images", "--filter", text).code == 2


def test_a_damaged_image_is_listed_too(shop: Shop) -> None:
    image = shop.image("tiny:1")
    shop.store.blobs.remove(image.id)
    assert shop.run("images", "--format", "{{.Repository}} {{.Size}}").lines == ["tiny N/A"]
    shop.store.layout.untag("docker.io/library/tiny:1")
    shop.store.blobs.remove(image.descriptor.digest)


@pytest.mark.parametrize(
    "created",
    [
        "9999-12-31T23:59:59.999999999Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2024-13-32T25:61:61Z",
    ],
)
def test_an_image_of_an_impossible_time_does_not_spoil_the_list(shop: Shop, created: str) -> None:
    image = shop.image("tiny:1")
    odd = write_image(shop.store.blobs, replace(image.config, created=created), image.manifest.layers)
    shop.store.layout.tag("docker.io/library/odd:1", odd.descriptor)
    for words in (("images",), ("images", "--tree"), ("images", "--filter", "before=tiny:1"), ("history", "odd:1")):
        assert (shop.run(*words).code, shop.run(*words).err) == (0, "")
    assert {line.split()[0] for line in shop.run("images").lines[1:]} == {"odd", "tiny"}


@pytest.mark.parametrize(("moment", "text"), [(None, "N/A"), (0.0, " years ago"), (1e12, "Less than a second ago")])
def test_the_age_of_an_image(moment: float | None, text: str) -> None:
    assert ago(moment).endswith(text)


@pytest.fixture
def images(shop: Shop) -> Iterator[list[Image]]:
    """An index under the name ``multi:1``, of which the image for arm64 is there and that for s390x is not."""
    blobs = shop.store.blobs
    arm = tiny_image(blobs, {"x": b"1" * 5000}, {"shared": b"y" * 300}, platform=ARM64)
    other = tiny_image(blobs, {"z": b"2"}, platform=Platform(os="linux", architecture="s390x"))
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(blobs, arm, other))
    blobs.remove(other.descriptor.digest)
    yield [arm, other]
    shop.store.layout.untag("docker.io/library/multi:1")


def test_an_index_shows_the_image_that_is_there_and_what_all_of_it_takes(shop: Shop, images: list[Image]) -> None:
    index = shop.store.layout.resolve("docker.io/library/multi:1")
    assert index is not None
    size = index.size + content_size(images[0])
    row = json.loads(shop.run("images", "--format", "json", "--no-trunc").out)
    assert (row["ID"], row["Size"]) == (str(images[0].id), human_size(size))
    assert row["CreatedAt"].startswith("2024-01-02")


def test_a_tree_shows_the_platforms_of_an_index(shop: Shop, images: list[Image]) -> None:
    shop.image("tiny:1")
    rows = [line.split() for line in shop.run("images", "--tree").lines[1:]]
    assert [row[0] for row in rows] in (
        ["multi", "linux/arm64", "linux/s390x", "tiny"],
        ["tiny", "multi", "linux/arm64", "linux/s390x"],
    )
    below = {row[0]: row for row in rows}
    assert below["linux/arm64"][1] == images[0].id.hex[:12]
    assert below["linux/s390x"][1] == images[1].descriptor.digest.hex[:12]
    assert below["linux/s390x"][-1] == "N/A"
    assert len(shop.run("images", "--tree", "-q").lines) == 2


def test_inspect_and_history_show_the_image_that_is_there(shop: Shop, images: list[Image]) -> None:
    assert shop.run("inspect", "-f", "{{.Id}}", "multi:1").out == f"{images[0].id}\n"
    assert (
        len(shop.run("history", "multi:1").lines) == len(shop.run("history", "--platform=arm64", "multi:1").lines) == 3
    )
    assert shop.run("history", "--platform=amd64", "multi:1").code == 1
