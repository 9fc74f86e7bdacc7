import pytest

from pybuild.runtime.kernel.user_namespace import in_initial_namespace


@pytest.mark.parametrize(
    ("text", "initial"),
    [
        ("         0          0 4294967295\n", True),
        ("0 1000 1\n", False),
        ("0 1000 1\n1 100000 65536\n", False),
        ("0 0 65536\n", False),
    ],
)
def test_the_initial_namespace_maps_every_id_to_itself(tmp_path, text, initial):
    path = tmp_path / "uid_map"
    path.write_text(text)
    assert in_initial_namespace(path) is initial
