"""glTF 2.0: morph targets of .glb and .gltf files as a rig. Metres and Y up by its specification."""

from __future__ import annotations

import base64
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from sfumato.errors import InputError
from sfumato.face.rig_shapes import Array, Shapes, joined, scale_to_centimetres

TYPES = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
WIDTH = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
PACKED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")


def read(path: Path, units: str | None = None) -> Shapes:
    """Read every mesh that has morph targets, where its node puts it.

    Raises:
        InputError: no glTF, compressed geometry, strips instead of triangles, or no morph targets.
        RequestError: in metres, or the units given, it is no head.
    """
    file = _File(path)
    packed = [name for name in PACKED if name in file.data.get("extensionsRequired", ())]
    if packed:
        raise InputError(f"{path.name} is compressed with {packed[0]}", "export it without compression")
    parts = [
        file.part(primitive, mesh, matrix)
        for mesh, matrix in file.placed()
        for primitive in mesh.get("primitives", ())
        if primitive.get("targets")
    ]
    if not parts:
        raise InputError(f"{path.name} has no morph targets", "export the head with its blend shapes")
    shapes = joined(parts)
    scale = scale_to_centimetres(path, shapes.neutral, units, "m")
    return Shapes(shapes.controls, shapes.neutral * scale, shapes.faces, shapes.deltas * scale)


class _File:
    """The JSON of a glTF file and the bytes it points into."""

    def __init__(self, path: Path) -> None:
        self.path, self.binary = path, b""
        raw = path.read_bytes()
        try:
            if raw[:4] == b"glTF":
                length = struct.unpack_from("<I", raw, 12)[0]
                self.data: dict[str, Any] = json.loads(raw[20 : 20 + length])
                self.binary = raw[20 + length + 8 :]
            else:
                self.data = json.loads(raw)
        except (ValueError, struct.error):
            raise InputError(
                f"{path.name} is no glTF file that can be read", "was it cut off? export it again"
            ) from None
        self.buffers = [self._buffer(buffer) for buffer in self.data.get("buffers", ())]

    def _buffer(self, buffer: dict[str, Any]) -> bytes:
        uri = buffer.get("uri")
        if uri is None:
            return self.binary
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2])
        beside = self.path.parent / unquote(uri)
        if not beside.is_file():
            raise InputError(f"{self.path.name} needs {beside.name} beside it", "copy both, or export one .glb")
        return beside.read_bytes()

    def placed(self) -> list[tuple[dict[str, Any], Array]]:
        """Each mesh that a node shows, and the node's matrix in the world; row vectors."""
        nodes = self.data.get("nodes", [])
        parent = {child: i for i, node in enumerate(nodes) for child in node.get("children", ())}
        found = []
        for i, node in enumerate(nodes):
            if "mesh" in node:
                matrix, at = np.eye(4), i if "skin" not in node else None  # a skinned mesh lies where its joints say
                while at is not None:
                    matrix = matrix @ _local(nodes[at])
                    at = parent.get(at)
                found.append((self.data["meshes"][node["mesh"]], matrix))
        return found

    def part(self, primitive: dict[str, Any], mesh: dict[str, Any], matrix: Array) -> Shapes:
        if primitive.get("mode", 4) != 4:
            raise InputError(f"{self.path.name} draws {mesh.get('name', 'a mesh')} as strips", "export plain triangles")
        neutral = self.numbers(primitive["attributes"]["POSITION"])
        targets = primitive["targets"]
        names = mesh.get("extras", {}).get("targetNames") or [f"target{i}" for i in range(len(targets))]
        if len(names) != len(targets):
            raise InputError(
                f"{self.path.name}: {len(targets)} targets and {len(names)} names", "export it with target names"
            )
        still = np.zeros_like(neutral)
        deltas = [self.numbers(t["POSITION"]) if "POSITION" in t else still for t in targets]
        corners = self.numbers(primitive["indices"])[:, 0] if "indices" in primitive else np.arange(float(len(neutral)))
        turned = [delta @ matrix[:3, :3] for delta in deltas]
        faces: NDArray[np.int64] = corners.astype(np.int64).reshape(-1, 3)
        return Shapes(tuple(map(str, names)), neutral @ matrix[:3, :3] + matrix[3, :3], faces, np.stack(turned))

    def numbers(self, index: int) -> Array:
        """An accessor as (count, width) float64; normalised integers are fractions, sparse ones are filled in."""
        accessor = self.data["accessors"][index]
        count, width, kind = accessor["count"], WIDTH[accessor["type"]], np.dtype(TYPES[accessor["componentType"]])
        values = np.zeros((count, width))
        try:
            if "bufferView" in accessor:
                values = self._view(accessor, accessor["bufferView"], kind, count, width).astype(np.float64)
            if "sparse" in accessor:
                sparse = accessor["sparse"]
                where, what, many = sparse["indices"], sparse["values"], sparse["count"]
                rows = self._view(where, where["bufferView"], np.dtype(TYPES[where["componentType"]]), many, 1)[:, 0]
                values[rows.astype(np.int64)] = self._view(what, what["bufferView"], kind, many, width)
        except (ValueError, IndexError, KeyError):
            raise InputError(f"{self.path.name} points past its own data", "was it cut off? export it again") from None
        if accessor.get("normalized") and kind.kind in "iu":
            values = np.maximum(values / np.iinfo(kind).max, -1.0)
        return values

    def _view(self, place: dict[str, Any], index: int, kind: np.dtype[Any], count: int, width: int) -> NDArray[Any]:
        view = self.data["bufferViews"][index]
        buffer = self.buffers[view["buffer"]]
        first = view.get("byteOffset", 0) + place.get("byteOffset", 0)
        stride = view.get("byteStride") or kind.itemsize * width
        return np.ndarray((count, width), kind, buffer, first, (stride, kind.itemsize))


def _local(node: dict[str, Any]) -> Array:
    """A node's own matrix for row vectors: the file's is column-major, which is that."""
    if "matrix" in node:
        return np.array(node["matrix"], dtype=np.float64).reshape(4, 4)
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y + z * w), 2 * (x * z - y * w)],
            [2 * (x * y - z * w), 1 - 2 * (x * x + z * z), 2 * (y * z + x * w)],
            [2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = np.diag(np.array(node.get("scale", (1.0, 1.0, 1.0)), dtype=np.float64)) @ turn
    matrix[3, :3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix
