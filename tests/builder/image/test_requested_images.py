"""One image, several targets and several platforms are the same thing: a list of what is wanted."""

from pathlib import Path

import pytest

from pybuild.builder.errors import RequestError
from pybuild.builder.image.requested_images import check_images, requested_images
from pybuild.builder.outputs.docker import DockerOutput
from pybuild.builder.outputs.local import LocalOutput
from pybuild.builder.outputs.oci import OciOutput
from pybuild.builder.request import Annotation, Planning, Result, Target

PLANNING = Planning(network="none", target="last")


def test_one_image_is_planned_as_it_was_asked_for():
    (only,) = requested_images(Result(tags=("a",)), PLANNING)
    assert (only.step, only.tags, only.images, only.is_index) == (
        "exporting to image",
        ("a",),
        (("", PLANNING),),
        False,
    )


def test_each_target_has_its_stage_its_names_and_a_step():
    targets = (Target(stage="x", tags=("a",)), Target(stage="y"))
    found = requested_images(Result(targets=targets, tags=("unused",)), PLANNING)
    assert [(each.step, each.tags) for each in found] == [
        ("exporting x to image", ("a",)),
        ("exporting y to image", ()),
    ]
    assert [[(name, planning.target) for name, planning in each.images] for each in found] == [[("", "x")], [("", "y")]]
    assert all(planning.network == "none" for each in found for _, planning in each.images)


def test_platforms_are_one_index_in_normal_form_each_once():
    (index,) = requested_images(Result(platforms=("arm64", "linux/amd64", "linux/arm64"), tags=("a",)), PLANNING)
    assert index.is_index
    assert [(name, planning.platform) for name, planning in index.images] == [
        ("linux/arm64", "linux/arm64"),
        ("linux/amd64", "linux/amd64"),
    ]


def test_an_index_of_one_platform_is_an_index():
    (index,) = requested_images(Result(platforms=("linux/amd64",)), PLANNING)
    assert (index.is_index, len(index.images)) == (True, 1)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            Result(targets=(Target(stage="x"),), platforms=("arm64",)),
            "several targets cannot be combined with several platforms",
        ),
        (Result(targets=(Target(stage="x"),), outputs=(LocalOutput(dest=Path("x")),)), "type=local takes one target"),
        (
            Result(platforms=("arm64",), outputs=(DockerOutput(),)),
            "does not currently support exporting manifest lists",
        ),
        (
            Result(annotations=(Annotation(kind="index", key="k", value="v"),)),
            "index annotations not supported for single platform export",
        ),
    ],
)
def test_what_the_number_of_images_rules_out_is_refused(result, message):
    with pytest.raises(RequestError, match=message):
        check_images(result)


def test_the_rest_may_be_asked_for():
    check_images(Result(targets=(Target(stage="x"),), outputs=(OciOutput(),)))
    check_images(Result(platforms=("arm64",), annotations=(Annotation(kind="index", key="k", value="v"),)))
