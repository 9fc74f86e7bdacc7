import json
import re
from dataclasses import replace

from pybuild.builder.oci.image import write_image
from pybuild.builder.oci.model import History
from tests.builder.cli.conftest import Shop
from tests.helpers.images import ARM64, tiny_image, tiny_index


def with_history(shop: Shop, *entries: History) -> None:
    image = shop.image()
    other = write_image(shop.store.blobs, replace(image.config, history=entries), image.manifest.layers)
    shop.store.layout.tag("docker.io/library/tiny:1", other.descriptor)


def test_steps_are_shown_from_the_newest_on(shop: Shop) -> None:
    with_history(
        shop,
        History(created="2024-01-02T03:04:05.123456789Z", created_by="COPY layer", comment="c"),
        History(created_by="ENV X=" + "y" * 60 + "\x1b[2J", empty_layer=True),
    )
    head, env, copy = shop.run("history", "tiny:1").lines
    assert head.split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert re.match(r"[0-9a-f]{12}   N/A +ENV X=y{38}…   0B", env)
    assert re.match(r"<missing> +\d years ago   COPY layer +\d+B +c$", copy)


def test_nothing_is_cut_when_asked_for(shop: Shop) -> None:
    with_history(shop, History(created_by="RUN " + "y" * 60))
    result = shop.run("history", "--no-trunc", "--format", "{{.ID}} {{.CreatedBy}}", "tiny:1")
    assert re.fullmatch(r"sha256:[0-9a-f]{64} RUN y{60}\n", result.out)


def test_sizes_and_dates_for_programs(shop: Shop) -> None:
    with_history(shop, History(created="2024-01-02T03:04:05Z", created_by="COPY layer"))
    assert "CREATED AT" in shop.run("history", "-H=false", "tiny:1").lines[0]
    assert "CREATED AT" not in shop.run("history", "-H=true", "tiny:1").lines[0]
    row = json.loads(shop.run("history", "--human=false", "--format", "json", "tiny:1").out)
    assert row["CreatedSince"] == "2024-01-02T03:04:05Z"
    assert row["Size"].isdigit()
    assert shop.run("history", "-q", "tiny:1").lines == [row["ID"]]


def test_a_history_that_names_more_layers_than_there_are_is_shown(shop: Shop) -> None:
    with_history(shop, History(created_by="one"), History(created_by="two"))
    assert shop.run("history", "--format", "{{.Size}}", "tiny:1").lines[-1] == "0B"
    shop.run("rmi", "tiny:1")


def test_one_image_of_several_platforms_is_chosen(shop: Shop) -> None:
    blobs = shop.store.blobs
    images = tiny_image(blobs, {"x": b""}), tiny_image(blobs, {"x": b""}, {"y": b""}, platform=ARM64)
    shop.store.layout.tag("docker.io/library/both:latest", tiny_index(blobs, *images))
    assert len(shop.run("history", "-q", "both", "--platform", "linux/arm64").lines) == 2
    assert len(shop.run("history", "-q", "both").lines) == 1
    assert shop.run("history", "both", "--platform", "s390x").code == 1
