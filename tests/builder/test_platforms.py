import pytest

from pybuild.builder.errors import ResolveError
from pybuild.builder.oci.image import host_platform
from pybuild.builder.oci.model import ImageConfig, Platform
from pybuild.builder.platforms import claimed, parse_platform, platform_arguments, wanted_platform


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("Linux/X86_64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/armhf", "linux/arm/v7"),
        ("arm64", "linux/arm64"),
        ("windows/amd64", "windows/amd64"),
        ("linux/riscv64", "linux/riscv64"),
    ],
)
def test_a_platform_is_brought_into_normal_form(text, normal):
    assert str(parse_platform(text)) == normal


def test_local_is_this_machine():
    assert parse_platform("local") == host_platform()


@pytest.mark.parametrize("text", ["", "nonsense", "linux/", "linux/a/b/c", "linux/am d64", "../x"])
def test_what_is_no_platform_is_refused_with_an_example(text):
    with pytest.raises(ResolveError, match="failed to parse platform") as caught:
        parse_platform(text)
    assert "linux/amd64" in caught.value.hint


def test_without_a_wish_the_platform_is_this_machines():
    assert wanted_platform(None) == host_platform()
    assert wanted_platform("linux/s390x").architecture == "s390x"


def test_every_platform_argument_has_its_value():
    build = Platform(os="linux", architecture="amd64")
    target = Platform(os="linux", architecture="arm", variant="v7")
    assert platform_arguments(target, build, "default") == {
        "BUILDPLATFORM": "linux/amd64",
        "BUILDOS": "linux",
        "BUILDOSVERSION": "",
        "BUILDARCH": "amd64",
        "BUILDVARIANT": "",
        "TARGETPLATFORM": "linux/arm/v7",
        "TARGETOS": "linux",
        "TARGETOSVERSION": "",
        "TARGETARCH": "arm",
        "TARGETVARIANT": "v7",
        "TARGETSTAGE": "default",
    }


def test_an_image_is_for_the_platform_that_it_was_built_for_whatever_its_base_says():
    base = ImageConfig(os="linux", architecture="arm", variant="v6", os_version="1", os_features=("x",))
    assert claimed(base, None) == base
    assert claimed(base, "linux/arm/v7") == ImageConfig(
        os="linux", architecture="arm", variant="v7", os_version="1", os_features=("x",)
    )
    assert claimed(base, "linux/amd64") == ImageConfig(os="linux", architecture="amd64")


def test_a_variant_that_is_not_asked_for_stays_that_of_the_base():
    base = ImageConfig(os="linux", architecture="arm64", variant="v9")
    assert claimed(base, "linux/arm64") == base
