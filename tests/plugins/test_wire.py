"""One JSON object a line, whatever is in it and whatever comes in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfumato_plugins import wire

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), VALUES))
def test_a_message_is_one_line_and_comes_back_as_it_was(message):
    line = wire.encode(message)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert line.isascii()
    assert wire.decode(line) == message


def test_a_path_that_is_no_unicode_travels():
    path = b"/shots/gr\xfcn.exr".decode("utf-8", "surrogateescape")
    assert wire.decode(wire.encode({"files": [path]})) == {"files": [path]}


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"nonsense", b"[1, 2]", b"3", b'"op"', b'{"op": ', b"\xff\xfe{}", b"[" * 10**5]
)
def test_what_is_no_message_is_refused_as_such(line):
    with pytest.raises(wire.NotAMessage):
        wire.decode(line)


def test_numbers_that_json_does_not_have_are_never_sent():
    with pytest.raises(ValueError, match="JSON"):
        wire.encode({"share": float("nan")})


def test_the_words_are_those_of_version_one():
    assert wire.PROTOCOL == 1
    assert {"hello", "run", "cancel", "ping", "quit"} <= set(wire.OPS)
    told = {"hello", "accepted", "progress", "frame", "note", "done", "failed", "cancelled", "pong"}
    assert told == set(wire.EVENTS)
    assert json.loads(wire.encode({"op": "run"})) == {"op": "run"}
