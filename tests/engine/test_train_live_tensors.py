"""Counting what is alive."""

import torch

from sfumato.train.live_tensors import LiveTensors


def test_bytes_are_counted_while_they_are_alive_and_views_are_free():
    before = torch.ones(1000)
    with LiveTensors() as live:
        made = before * 2  # 4,000 bytes
        assert live.now == 4000
        seen = made.view(10, 100).t()[2:]
        before.add_(1)
        assert live.now == 4000
        more = torch.cat([made, made])
        del made, more
        assert live.now == 4000, "a view keeps what it looks at"
        del seen
        assert live.now == 0
    assert live.peak == 12_000
