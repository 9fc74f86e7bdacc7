from pathlib import Path

import pytest

from pybuild.builder.store import notices
from pybuild.builder.store.store import Store


def test_a_topic_is_told_once_in_the_life_of_a_store(tmp_path: Path) -> None:
    told: list[str] = []
    for topic in ("a", "b", "a"):
        with Store.open(tmp_path / "store") as store:
            store.hear(told.append)
            notices.tell_once(store, topic, f"about {topic}")
    assert told == ["about a", "about b"]


@pytest.mark.parametrize(("drawback", "count"), [("", 0), ("no ids", 1)])
def test_an_isolation_is_told_that_nobody_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, drawback: str, count: int
) -> None:
    monkeypatch.setattr(notices, "single_id_reason", lambda: drawback)
    told: list[str] = []
    with Store.open(tmp_path / "store") as store:
        store.hear(told.append)
        notices.tell_isolation(store)
    assert [text.startswith("no ids: steps run with the id of the user alone") for text in told] == [True] * count
