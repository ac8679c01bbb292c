"""Walks that share the network's calls, each steered in its own way."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from sfumato.place.hooks import Enough, Steer
from sfumato.place.sites import Site


class Each(Steer):
    """A steer for each directed row of a batch.

    steers: In the order of the rows. They are of one kind: what one wants to see, all do.
    """

    def __init__(self, steers: Sequence[Steer]) -> None:
        self.steers = tuple(steers)

    def bias(self, site: Site) -> Tensor | None:
        """(R, ...): each row's own, or nothing added for a row that has none."""
        found = [steer.bias(site) for steer in self.steers]
        some = next((bias for bias in found if bias is not None), None)
        if some is None:
            return None
        return torch.stack([torch.zeros_like(some) if bias is None else bias for bias in found])

    def wants(self, site: Site) -> Literal["scores", "maps"] | None:
        """See `Steer`."""
        wants = {steer.wants(site) for steer in self.steers}
        assert len(wants) == 1, "rows of one call want different things"
        return wants.pop()

    def see(self, site: Site, shown: Tensor) -> Tensor | None:
        """Shows each steer its own row. Raises Enough when all of them do."""
        rows, found, enough = torch.split(shown, 1), [], 0
        for steer, row in zip(self.steers, rows, strict=True):
            try:
                found.append(steer.see(site, row))
            except Enough:
                found.append(None)
                enough += 1
        if enough == len(rows):
            raise Enough
        if all(row is None for row in found):
            return None
        return torch.cat([row if new is None else new for row, new in zip(rows, found, strict=True)])

    def words(self) -> Tensor | None:
        """(R, F, K, C): each row's own; all have some or none has."""
        found = [words for steer in self.steers if (words := steer.words()) is not None]
        assert len(found) in (0, len(self.steers)), "some rows of one call have words for each frame"
        return torch.stack(found) if found else None


def grouped(rows: Sequence[Steer | None]) -> tuple[list[bool], Steer]:
    """Rows with their steers, None where one is not steered -> which are, and one steer for them."""
    steers = [steer for steer in rows if steer is not None]
    return [steer is not None for steer in rows], steers[0] if len(steers) == 1 else Each(steers)
