"""Maya's .anim: curves as keys with linear tangents, which animImportExport reads without any plug-in of ours.

A control named `node.attribute` belongs to that node; any other is an attribute of a node called `face`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sfumato.atomic import write_bytes
from sfumato.errors import InputError, RequestError
from sfumato.face.curves import Curves
from sfumato.face.json_rows import plain
from sfumato.face.rates import exact_fps
from sfumato.face.table import read_text

NODE = "face"
NAMED = {"game": 15.0, "film": 24.0, "pal": 25.0, "ntsc": 30.0, "show": 48.0, "palf": 50.0, "ntscf": 60.0}
WHOLE = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 40, 75, 80, 90, 100, 120, 125, 150, 200, 240, 250, 300, 375, 400, 500, 600)
NTSC = (24, 30, 48, 60)
STRAIGHT = ("linear", "flat", "step", "stepnext")


def time_unit(fps: float) -> str:
    """Maya's name for a rate.

    Raises:
        RequestError: it has none.
    """
    names = {rate: name for name, rate in NAMED.items()} | {float(n): f"{n}fps" for n in WHOLE}
    names |= {n * 1000 / 1001: f"{n * 1000 / 1001:.5g}fps" for n in NTSC}
    unit = names.get(exact_fps(fps))
    if unit is None:
        raise RequestError(
            f"Maya has no time unit of {fps:g} frames a second", "put the curves on a timeline of 24, 25 or 30"
        )
    return unit


def write(curves: Curves, path: Path, keys: Mapping[str, tuple[int, ...]] | None = None) -> None:
    """Write a key for every frame, or those that `reduce` kept. Locks have no place in it.

    keys: For each control the rows of `curves` that are keys; what is between them is linear.

    Raises:
        RequestError: Maya has no such rate.
    """
    if not curves.frames:
        raise InputError("there are no frames to write", "solve the take first")
    lines = ["animVersion 1.1;", "mayaVersion 2022;", f"timeUnit {time_unit(curves.fps)};", "linearUnit cm;"]
    lines += ["angularUnit deg;", f"startTime {_number(curves.frames[0])};", f"endTime {_number(curves.frames[-1])};"]
    nodes: dict[str, int] = {}
    for name in curves.names:
        node, _, leaf = name.rpartition(".")
        nodes[node or NODE] = count = nodes.get(node or NODE, -1) + 1
        rows = range(len(curves.frames)) if keys is None else keys[name]
        values = curves.of(name).tolist()
        lines += _curve(node or NODE, leaf, count, ((curves.frames[i], values[i]) for i in rows))
    write_bytes(path, ("\n".join(lines) + "\n").encode())


def _curve(node: str, leaf: str, count: int, keys: Iterator[tuple[float, float]]) -> Iterator[str]:
    yield from (f"anim {leaf} {leaf} {node} 0 0 {count};", "animData {", "  input time;", "  output unitless;")
    yield from ("  weighted 0;", "  preInfinity constant;", "  postInfinity constant;", "  keys {")
    for frame, value in keys:
        yield f"    {_number(frame)} {_number(value)} linear linear 1 1 0;"
    yield from ("  }", "}")


def read(path: Path, fps: float | None = None) -> Curves:
    """Read keys; curves with keys at different times are read at every whole frame and every key.

    Raises:
        InputError: no .anim, a rate nobody knows, no keys, or a tangent that is neither straight nor a step.
    """
    text = read_text(path)
    if not text.startswith("animVersion"):
        raise InputError(
            f"{path.name} is no Maya .anim file: it does not start with animVersion", "export it from Maya again"
        )
    said = re.search(r"timeUnit\s+(\w[\w.]*)\s*;", text)
    rate = fps or _rate(path, said[1] if said else "")
    found = {}
    for block in re.split(r"^anim\s+", text, flags=re.MULTILINE)[1:]:
        words = block.partition(";")[0].split()
        body = re.search(r"keys\s*\{(.*?)\}", block, re.DOTALL)
        if len(words) >= 3 and body:
            name = words[1] if words[2] == NODE else f"{words[2]}.{words[1]}"
            found[name] = _keys(path, name, body[1])
    if not found or not any(len(times) for times, _, _ in found.values()):
        raise InputError(f"{path.name} holds no keys", "select the controls and export with keys")
    return _sampled(found, rate)


Keys = tuple[list[float], list[float], list[str]]
Samples = NDArray[np.float64]


def _keys(path: Path, name: str, body: str) -> Keys:
    times, values, ways = [], [], []
    for line in filter(None, (line.strip().rstrip(";") for line in body.splitlines())):
        words = line.split()
        try:
            time, value = float(words[0]), float(words[1])
        except (IndexError, ValueError):
            raise InputError(f"{path.name}: {line[:40]!r} is no key of {name}", "export it from Maya again") from None
        times.append(time)
        values.append(value)
        ways.append(words[3] if len(words) > 3 else "linear")
        bent = [way for way in words[2:4] if way not in STRAIGHT]
        if bent:
            raise InputError(
                f"{path.name}: {name} has tangents of type {bent[0]} at {times[-1]:g}, drawn differently everywhere",
                "bake the curves in Maya (Edit > Keys > Bake Simulation) and export them with linear tangents",
            )
    return times, values, ways


def _sampled(found: Mapping[str, Keys], fps: float) -> Curves:
    every = {tuple(times) for times, _, _ in found.values()}
    frames = np.array(sorted({time for times in every for time in times}))
    if len(every) > 1:
        whole = np.arange(np.ceil(frames[0]), np.floor(frames[-1]) + 1)
        frames = np.union1d(frames, whole)
    columns = [_at(frames, *keys) for keys in found.values()]
    values = torch.from_numpy(np.stack(columns, 1))
    return Curves(tuple(found), tuple(float(frame) for frame in frames), values, fps)


def _at(frames: Samples, times: list[float], values: list[float], ways: list[str]) -> Samples:
    """Straight between keys; after a step key its value, after a stepnext key that of the next."""
    line = np.interp(frames, times, values)
    before = np.clip(np.searchsorted(times, frames, "right") - 1, 0, len(times) - 1)
    after = np.minimum(before + 1, len(times) - 1)
    way = np.array(ways)[before]
    held, on_key = np.array(values), frames <= np.array(times)[before]
    stepped = np.where(way == "step", held[before], np.where((way == "stepnext") & ~on_key, held[after], line))
    return np.where(on_key, held[before], stepped)


def _rate(path: Path, unit: str) -> float:
    number = re.fullmatch(r"([\d.]+)fps", unit)
    rate = NAMED.get(unit) or (exact_fps(float(number[1])) if number else None)
    if rate is None:
        raise InputError(
            f"{path.name}: its time unit {unit!r} is no rate", "export it from a scene in film, ntsc or the like"
        )
    return rate


def _number(value: float) -> str:
    return repr(plain(value))
