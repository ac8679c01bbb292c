"""A solve's curves once more, in the format that somebody else reads. Needs the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable

from sfumato_plugins.text_file import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sfumato.face.curves import Curves
    from sfumato_plugins.control_map import Driven
    from sfumato_plugins.errors import Problem


def export(folder: str, path: str, values: Mapping[str, Any], mapped: str, say: Callable[[str], None]) -> None:
    """Write DIR/curves.json as PATH: .csv Live Link Face, .anim or .ma Maya, .usd* USD, .json ours.

    Args:
        values: The job's parameters: tolerance, namespace.
        mapped: A control map for Maya's files; without one .anim drives attributes of the controls' own names.

    Raises:
        JobError: the map drives nothing of the rig, or Maya has no such rate (exit 2).
        sfumato.errors.SfumatoError: the format cannot hold the take.
    """
    from sfumato.face.curves import load_curves, save_curves
    from sfumato.face.reduce import reduce

    curves = load_curves(os.path.join(folder, "curves.json"))
    tolerance = float(values["tolerance"])
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    ending = os.path.splitext(path)[1].lower()
    if ending == ".ma" or mapped:
        count = _maya(curves, path, tolerance, mapped, str(values["namespace"]), say)
    elif ending == ".anim" and tolerance:
        reduced = reduce(curves, tolerance)
        reduced.save_anim(path)
        count = reduced.count
    else:
        save_curves(reduce(curves, tolerance).played() if tolerance else curves, path)
        count = curves.values.numel()
    dense = curves.values.numel()
    say(f"face: exported {os.path.basename(path)}: {count} keys" + (f" of {dense}" if count < dense else ""))


def _maya(curves: Curves, path: str, tolerance: float, mapped: str, namespace: str, say: Callable[[str], None]) -> int:
    """Write .anim or .ma through a control map; how many keys there are."""
    from dataclasses import replace

    from sfumato_plugins import control_map, curves_maya_files
    from sfumato_plugins import curves as plain_curves
    from sfumato_plugins.errors import wrong

    take = plain_curves.Curves(curves.fps, curves.frames, curves.names, tuple(map(tuple, curves.values.tolist())))
    driven, notes = (control_map.load(mapped) if mapped else control_map.plain_map(take.names)).drive(take)
    if not driven:
        raise wrong("inputs.map", "the map has no line for any control of the rig", "make it in Maya: Control Map...")
    driven = [replace(one, target=control_map.in_namespace(one.target, namespace)) for one in driven]
    pairs = [one.held() for one in driven]
    for note in (*notes, *(held for _, held in pairs if held)):
        say(f"note: {_line(note)}")
    driven = [one for one, _ in pairs]
    kept = _kept(driven, curves, tolerance)
    ma = path.lower().endswith(".ma")
    text = (curves_maya_files.ma_text if ma else curves_maya_files.anim_text)(
        driven, curves.frames, curves.fps, kept=kept
    )
    write_text(path, text)
    return sum(map(len, kept.values()))


def _line(note: Problem) -> str:
    return f"{note.where}: {note.what}"


def _kept(driven: Sequence[Driven], curves: Curves, tolerance: float) -> Mapping[str, Sequence[int]]:
    """The rows that become keys, by target: all of them without a tolerance."""
    import torch

    from sfumato.face.curves import Curves as Engine
    from sfumato.face.reduce import reduce

    if not tolerance:
        return {one.target: range(len(curves.frames)) for one in driven}
    spans = [max(max(one.values) - min(one.values), 1e-9) for one in driven]
    scaled = [[value / span for value in one.values] for one, span in zip(driven, spans)]
    names = tuple(one.target for one in driven)
    whole = Engine(names, curves.frames, torch.tensor(scaled, dtype=torch.float64).T.contiguous(), curves.fps)
    return reduce(whole, tolerance).keys
