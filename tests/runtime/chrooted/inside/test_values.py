"""What the builder sends crosses unchanged."""

from pybuild.runtime.chrooted.inside.values import ChrootPlan, Hidden, HiddenFiles
from pybuild.runtime.records import decode, encode
from pybuild.runtime.sandbox.inside.privileges import Confinement
from pybuild.runtime.sandbox.inside.process import Process


def test_a_plan_crosses_with_what_is_hidden() -> None:
    process = Process((b"a",), Confinement(1, False, False, (), b"f"), b"/", (), b"u")
    hidden = HiddenFiles(((2, 0), (257, 1)), b"program", (Hidden(b"content", 3, 4),))
    plan = ChrootPlan(b"/root", (b"group",), 1 << 61, b"filter", ((3, 62, 2, 0),), process, hidden)
    crossed = decode(encode(plan))
    assert isinstance(crossed, ChrootPlan)
    assert crossed.opening is not None
    assert crossed.opening.hidden[0].content == b"content"
    assert (crossed.root, crossed.mark, crossed.process.user) == (b"/root", 1 << 61, b"u")
    assert (crossed.traced, crossed.opening.calls) == (((3, 62, 2, 0),), ((2, 0), (257, 1)))
