import pytest

from pybuild.builder.oci.errors import RegistryError
from pybuild.builder.oci.registry.mirrors import BY_DIGEST, BY_TAG, Mirror, MirrorPlace, MirrorRule, find_entry, places

HUB = "docker.io"


def test_without_an_entry_the_registry_itself_is_asked() -> None:
    assert places((), HUB, "library/alpine", by_digest=False) == (MirrorPlace(HUB, "library/alpine"),)


def test_mirrors_come_first_with_the_rest_of_the_name() -> None:
    entry = MirrorRule(prefix=HUB, mirrors=(Mirror(location="m.example.com"), Mirror(location="c.example.com/hub")))
    assert places((entry,), HUB, "library/alpine", by_digest=False) == (
        MirrorPlace("m.example.com", "library/alpine"),
        MirrorPlace("c.example.com", "hub/library/alpine"),
        MirrorPlace(HUB, "library/alpine"),
    )


@pytest.mark.parametrize(("by_digest", "hosts"), [(True, ["d", "a", HUB]), (False, ["t", "a", HUB])])
def test_a_mirror_may_be_for_tags_or_for_digests_only(by_digest: bool, hosts: list[str]) -> None:
    mirrors = (Mirror(location="d", pull=BY_DIGEST), Mirror(location="t", pull=BY_TAG), Mirror(location="a"))
    found = places((MirrorRule(prefix=HUB, mirrors=mirrors),), HUB, "x/y", by_digest=by_digest)
    assert [place.registry for place in found] == hosts


def test_the_longest_prefix_counts_and_of_equal_ones_the_first() -> None:
    entries = (
        MirrorRule(prefix="a.com"),
        MirrorRule(prefix="a.com/team"),
        MirrorRule(prefix="a.com/team", blocked=True),
    )
    assert find_entry(entries, "a.com/team/app") == entries[1]
    assert find_entry(entries, "a.com/teams/app") == entries[0]
    assert find_entry(entries, "a.com.evil.com/team") is None


def test_a_prefix_may_stand_for_all_hosts_of_a_domain() -> None:
    entry = MirrorRule(prefix="*.example.com", location="inner.example.org:5000/pub", insecure=True)
    assert places((entry,), "a.b.example.com:443", "x/y", by_digest=False) == (
        MirrorPlace("inner.example.org:5000", "pub/x/y", insecure=True),
    )
    assert find_entry((entry,), "example.com/x") is None
    assert find_entry((entry,), "evilexample.com/x") is None


def test_a_location_stands_in_place_of_the_prefix() -> None:
    entry = MirrorRule(prefix="a.com/old", location="b.com/new")
    assert places((entry,), "a.com", "old/app", by_digest=True) == (MirrorPlace("b.com", "new/app"),)


def test_a_mirror_is_insecure_when_its_own_entry_says_so() -> None:
    entries = (MirrorRule(prefix=HUB, mirrors=(Mirror(location="m:5000"),)), MirrorRule(prefix="m:5000", insecure=True))
    assert [place.insecure for place in places(entries, HUB, "x/y", by_digest=False)] == [True, False]


def test_a_blocked_registry_is_not_asked() -> None:
    with pytest.raises(RegistryError, match=r"registry a\.com is blocked"):
        places((MirrorRule(prefix="a.com", blocked=True),), "a.com", "x", by_digest=False)
