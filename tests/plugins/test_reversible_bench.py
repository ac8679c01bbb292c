"""The bench of reversible stacks: its checks hold on small stacks."""

import pytest

from sfumato_plugins.benches import reversible_exact

pytest.importorskip("torch", reason="benches measure the engine")


def test_states_come_back_faults_are_seen_and_rounding_is_small():
    rows = reversible_exact.exactness((3,)) + reversible_exact.faults() + reversible_exact.inference()
    assert [(row["lost"], row["unlike"]) for row in rows[:4]] == [(0, 0)] * 4
    assert [row["seen"] for row in rows if "seen" in row] == [1.0]
    changes = [row["change"] for row in rows if "change" in row]
    assert 1e-5 < changes[1] < changes[0] < 2.5e-3
