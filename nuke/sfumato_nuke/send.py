"""Computing a node's job here: gather, check, hand over. Only ever the node whose button was pressed."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import nuke

from sfumato_nuke import inputs, knobs, results, scratch
from sfumato_nuke.order import Order, order, preview, reserved
from sfumato_nuke.under_way import Run
from sfumato_nuke.watch import WATCH
from sfumato_plugins.check import problems_here
from sfumato_plugins.errors import JobError, wrong
from sfumato_plugins.frames import Pattern
from sfumato_plugins.job import Job
from sfumato_plugins.tool import Tool

Node = Any


def run_here(node: Node, tool: Tool) -> None:
    """Compute the node's range on this machine.

    Raises:
        JobError, NoEngine, inputs.Cancelled: with a sentence.
    """
    free(node)
    asked = order(node, tool)
    found = looked(node, asked, asked.job)
    job = reserved(asked)
    folder = scratch.new(asked.settings, tool.name) if found.render else ""
    try:
        job = with_inputs(node, asked, job, found, folder)
        results.remember(tool, job, asked)
        _start(node, Run(node, "result", asked, job, folder), job)
    except BaseException:
        scratch.remove(folder)
        raise


def solve_frame(node: Node, tool: Tool) -> None:
    """Compute the current frame, the viewer's region of it, at preview quality.

    Raises:
        As run_here.
    """
    free(node)
    asked = order(node, tool)
    job, region = preview(asked, nuke.frame()), viewer_region() if tool.regional else None
    found = looked(node, asked, job, region)
    folder = scratch.new(asked.settings, tool.name) if found.render else ""
    try:
        job = with_inputs(node, asked, job, found, folder, region)
        _start(node, Run(node, "frame", asked, job, folder), job)
    except BaseException:
        scratch.remove(folder)
        raise


def _start(node: Node, run: Run, job: Job) -> None:
    knobs.tell(node, "last_error", " ")
    results.colour_node(node, False)
    WATCH.start(run, job)
    knobs.tell(node, "status", f"{job.names.get('version', 'this frame')}: starting")


def free(node: Node) -> None:
    """Refuse a node that is being computed.

    Raises:
        JobError: it is.
    """
    if WATCH.of(node):
        raise wrong("", f"{node.name()} is being computed already", "press Cancel first, or wait for it")


def looked(node: Node, asked: Order, job: Job, region: inputs.Box | None = None) -> inputs.Handover:
    """What each arrow gives; told in the Info tab. Nothing is rendered or reserved before all is well.

    Raises:
        JobError: everything that is wrong so far.
    """
    found = inputs.look(node, asked.tool, job.shot, job.views, asked.space, region, asked.tool.sparse(job))
    knobs.tell(node, "inputs_told", "\n".join([*found.told, f"colour: {asked.space.told}"]))
    _check(replace(job, inputs={**found.files, **dict.fromkeys(found.render, "to be rendered")}), found.render)
    return found


def with_inputs(
    node: Node, asked: Order, job: Job, found: inputs.Handover, folder: str, region: inputs.Box | None = None
) -> Job:
    """The job with all its inputs as files; those that have to be are rendered into the folder."""
    if found.render:
        os.makedirs(folder, exist_ok=True)
        inputs.render(node, asked.tool, found, job.shot, job.views, folder, region)
    job = replace(job, inputs=found.files, views=_views(job, found.files))
    _check(job, ())
    return job


def _views(job: Job, files: dict[str, str]) -> tuple[str, ...]:
    """A script's only view has to be named where a file name asks for one."""
    asks = any(Pattern(text).has_view for text in (*files.values(), *job.outputs.values()))
    return job.views or (tuple(nuke.views()[:1]) if asks else ())


def _check(job: Job, unrendered: Collection[str]) -> None:
    """Everything that is wrong and can be seen from here, in one list; before rendering, only what needs no files.

    Raises:
        JobError: with all of it.
    """
    found = problems_here(job)
    if unrendered:
        about = tuple(f"inputs.{name}" for name in unrendered)
        found = [p for p in found if p.where not in about and not p.where.startswith("outputs")]
    if found:
        raise JobError(found)


def viewer_region() -> inputs.Box | None:
    """The region of the active viewer, (left, bottom, right, top); None if it shows the whole picture."""
    viewer = nuke.activeViewer() if nuke.GUI else None
    if viewer is None or not viewer.node().roiEnabled():
        return None
    box = viewer.node().roi()
    return (box["x"], box["y"], box["r"], box["t"]) if box else None
