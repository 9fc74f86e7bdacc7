import json

import pytest

from pybuild.runtime.sandbox.seccomp_profile import InvalidProfile, parse_profile

RULE = {"names": ["read"], "action": "SCMP_ACT_ALLOW"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[" * 100000, "not JSON"),
        ("[]", "no defaultAction"),
        ("3", "not a seccomp profile"),
        ("{}", "no defaultAction"),
        ('{"defaultAction":"ALLOW"}', "action 'ALLOW' is not supported"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}', "no names"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[3]}', "not a seccomp profile"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"]}]}', "action None"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}', "listenerPath is not supported"),
        ('{"defaultAction":"SCMP_ACT_ALLOW","architectures":["a"],"archMap":[{"architecture":"b"}]}', "either"),
    ],
)  # fmt: skip
def test_what_is_no_profile_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidProfile, match=problem):
        parse_profile(text)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ({"action": "SCMP_ACT_NOTIFY"}, "SCMP_ACT_NOTIFY"),
        ({"action": "SCMP_ACT_ERRNO", "errnoRet": 1 << 20}, "errnoRet"),
        ({"args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}, "index from 0 to 5"),
        ({"args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}, "64 bits"),
        ({"args": [{"index": 0, "value": 1, "op": "EQ"}]}, "operator 'EQ'"),
        ({"args": [{"index": 0, "value": 1, "op": []}]}, "not a seccomp profile|operator"),
        ({"includes": {"caps": ["CAP_WHAT"]}}, "CAP_WHAT"),
        ({"includes": {"user": "x"}}, "'user'"),
        ({"excludes": {"minKernel": "new"}}, "version of a kernel"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused(members: dict[str, object], problem: str) -> None:
    with pytest.raises(InvalidProfile, match=problem):
        parse_profile(json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{**RULE, **members}]}))
