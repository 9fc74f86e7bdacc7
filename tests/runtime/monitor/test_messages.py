"""The protocol of a monitor: each kind of message has a letter of its own."""

from pybuild.runtime.monitor import messages

KINDS = {name: value for name, value in vars(messages).items() if isinstance(value, bytes)}


def test_a_kind_is_one_byte_and_no_two_are_the_same() -> None:
    assert {len(value) for value in KINDS.values()} == {1}
    assert len(set(KINDS.values())) == len(KINDS) == 21


def test_the_streams_have_the_numbers_of_their_descriptors() -> None:
    assert (messages.OUT, messages.ERR) == (b"1", b"2")


def test_a_piece_and_its_kind_fit_into_one_message_of_a_socket() -> None:
    # net.core.wmem_default is 212,992 bytes, of which the kernel uses a part itself.
    assert messages.PIECE + 1 <= 1 << 17
