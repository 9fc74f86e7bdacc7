import json
import re

import pytest

from builder.commands.images import ago
from tests.builder.commands.conftest import Shop


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


def test_a_damaged_image_is_listed_too(shop: Shop) -> None:
    image = shop.image("tiny:1")
    shop.machine.blobs.remove(image.id)
    assert shop.run("images", "--format", "{{.Repository}} {{.Size}}").lines == ["tiny N/A"]
    shop.machine.layout.untag("docker.io/library/tiny:1")
    shop.machine.blobs.remove(image.descriptor.digest)


@pytest.mark.parametrize(("moment", "text"), [(None, "N/A"), (0.0, " years ago"), (1e12, "Less than a second ago")])
def test_the_age_of_an_image(moment: float | None, text: str) -> None:
    assert ago(moment).endswith(text)
