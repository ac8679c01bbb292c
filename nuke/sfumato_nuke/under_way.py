"""One job of one node while it is computed, and how its failure is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import nuke

from sfumato_nuke import knobs, results
from sfumato_nuke.local_queue import Queue
from sfumato_nuke.order import Order
from sfumato_plugins.job import Job

Node = Any


@dataclass
class Run:
    """One job of one node. `kind`: result, frame or queue. `inputs`: the folder of rendered inputs, "" for none.

    The node may be renamed meanwhile; deleted, or in a script that is no longer open, it is None in `alive`. The run
    goes on all the same: its result is on disk, and Nuke's bar still cancels it.
    """

    node: Node
    kind: str
    order: Order
    job: Job
    inputs: str = ""
    id: str = ""
    queue: Queue | None = None
    bar: Any = None
    name: str = ""
    told: str = ""
    frames: list[int] = field(default_factory=list)

    def alive(self) -> Node:
        """The node, None if it is gone."""
        try:
            self.name = self.node.fullName()
        except ValueError:  # its Python object has lost it
            return None
        return self.node


def tell_failure(node: Node, sentence: str, hint: str = "", log: str = "") -> None:
    """A failure where the artist sees it: the status, the Info tab with the log, the node's colour."""
    knobs.tell(node, "status", f"stopped: {sentence}")
    lines = [sentence, *([hint] if hint else []), *([f"log: {log}"] if log else [])]
    knobs.tell(node, "last_error", "\n".join(lines))
    results.colour_node(node, True)
    nuke.tprint(f"{node.fullName()}: " + "\n  ".join(lines))
