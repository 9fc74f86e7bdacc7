from pybuild.builder.outputs.image import ImageOutput, parse_image
from pybuild.builder.outputs.options import read
from pybuild.builder.outputs.registry import RegistryOutput


def test_an_image_is_pushed_when_it_is_asked_for() -> None:
    assert parse_image(read("type=image,push=T")) == RegistryOutput()
    assert parse_image(read("type=image,push=0")) == ImageOutput()


def test_the_store_alone_is_no_file_and_no_stream() -> None:
    output = ImageOutput()
    assert (output.file, output.streams, output.pushes, output.emptied) == (None, False, False, None)
