import json

from tests.builder.cli.conftest import Shop
from tests.helpers.hosts import need_root
from tests.helpers.images import AMD64, ARM64, tiny_image, tiny_index


def test_the_document_has_the_members_of_docker(shop: Shop) -> None:
    image = shop.image("tiny:1", "tiny:2")
    (document,) = json.loads(shop.run("inspect", "tiny:1").out)
    assert document["Id"] == str(image.id)
    assert document["RepoTags"] == ["tiny:1", "tiny:2"]
    assert document["RepoDigests"] == [f"tiny@{image.descriptor.digest}"]
    assert document["Config"]["Cmd"] == ["/bin/sh"]
    assert document["Config"]["Labels"] is None
    assert document["Architecture"] == "amd64"
    assert document["RootFS"]["Layers"] == [str(diff_id) for diff_id in image.config.diff_ids]
    assert document["Created"] == "2024-01-02T03:04:05Z"


def test_templates_pick_single_members(shop: Shop) -> None:
    image = shop.image("tiny:1")
    assert shop.run("inspect", "-f", "{{.Id}}", "tiny:1").lines == [str(image.id)]
    assert shop.run("inspect", "--format", "{{json .Config.Env}}", "tiny:1").lines == ['["PATH=/bin"]']
    assert json.loads(shop.run("inspect", "--format", "json", "tiny:1").out)[0]["Os"] == "linux"
    assert shop.run("inspect", "-f", "{{.Nope}}", "tiny:1").code == 1


def test_a_missing_image_fails_and_the_others_are_shown(shop: Shop) -> None:
    shop.image("tiny:1")
    result = shop.run("inspect", "nope", "tiny:1")
    assert (result.code, len(json.loads(result.out))) == (1, 1)
    assert "No such object: nope\nhint: it is no container, image, network or volume" in result.err
    assert "No such image: nope" in shop.run("image", "inspect", "nope").err


def test_a_platform_can_be_chosen(shop: Shop) -> None:
    images = [tiny_image(shop.store.blobs, {"x": b""}, platform=platform) for platform in (AMD64, ARM64)]
    shop.store.layout.tag("docker.io/library/multi:1", tiny_index(shop.store.blobs, *images))
    result = shop.run("inspect", "--platform", "linux/arm64", "-f", "{{.Id}} {{.Architecture}}", "multi:1")
    assert result.lines == [f"{images[1].id} arm64"]


def test_what_an_image_does_not_say_is_empty_in_templates_as_in_docker(shop: Shop) -> None:
    shop.image("tiny:1")
    asked = (
        "{{.Config.Entrypoint}} {{.Config.Shell}} {{.Config.Labels}} {{.Config.Healthcheck}} <{{.Config.StopSignal}}>"
    )
    assert shop.run("inspect", "-f", asked, "tiny:1").out == "[] [] map[] <nil> <>\n"
    asked = (
        '{{json .Config.Entrypoint}} "{{index .Config.Labels "x"}}" {{with .Config.Healthcheck}}has{{else}}none{{end}}'
    )
    assert shop.run("inspect", "-f", asked, "tiny:1").out == 'null "" none\n'
    assert shop.run("inspect", "-f", "{{.Config.Labels.x}} {{.Variant}}", "tiny:1").out == "<no value> \n"


def test_flags_of_docker_inspect_are_taken(shop: Shop) -> None:
    shop.image("tiny:1")
    result = shop.run("inspect", "--type", "image", "-f", "{{.Os}}", "tiny:1")
    assert (result.code, result.out, result.err) == (0, "linux\n", "")
    assert shop.run("inspect", "-s", "-f", "{{.Os}}", "tiny:1").err == "WARNING: --size ignored for images\n"
    missing = shop.run("inspect", "--type", "container", "tiny:1")
    assert (missing.code, missing.out, missing.err) == (1, "[]\n", "ERROR: No such container: tiny:1\n")


def test_networks_and_volumes_are_found_as_well(shop: Shop) -> None:
    need_root()
    assert shop.run("volume", "create", "data").code == 0
    assert shop.run("inspect", "-f", "{{.Name}} {{.Scope}}", "data", "bridge").lines == ["data local", "bridge local"]
    assert shop.run("inspect", "--type", "volume", "-f", "{{.Driver}}", "data").lines == ["local"]
    for kind, message in (("volume", "get nope: no such volume"), ("network", "network nope not found")):
        missing = shop.run("inspect", "--type", kind, "nope")
        assert (missing.code, missing.out) == (1, "[]\n")
        assert message in missing.err
