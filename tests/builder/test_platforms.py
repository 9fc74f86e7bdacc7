import pytest

from builder.errors import ResolveError
from builder.oci.image import host_platform
from builder.oci.model import Platform
from builder.platforms import parse_platform, platform_arguments, wanted_platform


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
