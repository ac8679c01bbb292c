"""Rigs in and out of files: every bit in our own, USD's own evaluation against ours, and what a wrong file is told."""

import base64
import json
import struct

import numpy as np
import pytest
import torch

from sfumato.errors import InputError, RequestError
from sfumato.face.binding import Binding
from sfumato.face.curves import Curves, load_curves
from sfumato.face.rig import Hinge, NativeRig
from sfumato.face.rig_files import load_rig, save_rig

PXR = pytest.importorskip("pxr", reason="usd-core is not installed (pip install sfumato[face])")
CONTROLS = ("jawOpen", "jawLeft", "mouthSmile_L", "mouthSmile_R", "browDown_L")


def head(seed=5, rings=14, around=16):
    """An egg of a head, 24 cm high, with shapes drawn by chance, an in-between, a corrective and a jaw joint."""
    noise = torch.Generator().manual_seed(seed)
    up, turn = torch.meshgrid(torch.linspace(-1.4, 1.4, rings), torch.linspace(0, 6.0, around), indexing="ij")
    neutral = (
        torch.stack([9 * up.cos() * turn.sin(), 12 * up.sin(), 9 * up.cos() * turn.cos()], -1).reshape(-1, 3).double()
    )
    cell = torch.arange(rings * around).reshape(rings, around)
    a, b, c, d = (x.flatten() for x in (cell[:-1, :-1], cell[:-1, 1:], cell[1:, 1:], cell[1:, :-1]))
    faces = torch.cat([torch.stack([a, b, c], 1), torch.stack([a, c, d], 1)])
    deltas = torch.randn(5, len(neutral), 3, generator=noise, dtype=torch.float64) * 0.5
    deltas[2, ::3] = 0.0
    return NativeRig(
        CONTROLS,
        neutral,
        faces,
        deltas,
        torch.tensor([0, -1, 0, 0, 0]).double(),
        torch.tensor([1, 1, 1.2, 1, 1]).double(),
        {"stable": torch.arange(7)},
        ((2, 0.5, deltas[2] * 0.3), (2, 0.75, deltas[2] * 0.9)),
        (((0, 2), deltas[1] * 0.4), ((0, 2, 3), deltas[4] * 0.2)),
        Hinge(
            torch.tensor([0.0, 1.0, -2.0]).double(),
            (-neutral[:, 1] / 12).clamp(0, 1),
            (("jawOpen", torch.tensor([0.3, 0, 0]).double()), ("jawLeft", torch.tensor([0, 0.1, 0.02]).double())),
            (("jawOpen", torch.tensor([0, -0.2, 0.3]).double()),),
        ),
        Binding(
            ("chin", "lip"), torch.tensor([[0, 1, 17], [3, 4, 20]]), torch.tensor([[0.2, 0.3, 0.5], [1, 0, 0]]).double()
        ),
    )


def poses(count=12, seed=8):
    return torch.rand(count, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def played(values):
    return Curves(CONTROLS, tuple(1001.0 + i for i in range(len(values))), values, 24.0)


def baked(path, frames):
    """The mesh as USD's own skinning computes it, world space."""
    from pxr import Usd, UsdGeom, UsdSkel

    stage = Usd.Stage.Open(str(path))
    assert UsdSkel.BakeSkinning(stage.Traverse())
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/Face/Mesh"))
    world = np.array(mesh.ComputeLocalToWorldTransform(Usd.TimeCode.Default()))
    points = np.stack([np.array(mesh.GetPointsAttr().Get(frame), dtype=np.float64) for frame in frames])
    return torch.from_numpy(points @ world[:3, :3] + world[3, :3])


def test_our_own_file_keeps_every_bit(tmp_path):
    rig = head()
    save_rig(rig, tmp_path / "rig.npz")
    back = load_rig(tmp_path / "rig.npz")
    assert torch.equal(back.mesh(poses()), rig.mesh(poses()))
    assert (back.controls, back.jaw.turns[1][0]) == (rig.controls, "jawLeft")
    for name in ("lower", "upper", "faces"):
        assert torch.equal(getattr(back, name), getattr(rig, name))
    assert torch.equal(back.regions["stable"], rig.regions["stable"])
    assert torch.equal(back.markers.at(back, poses()), rig.markers.at(rig, poses()))


@pytest.mark.parametrize("suffix", ["usda", "usdc", "usd"])
def test_usd_bakes_what_we_evaluate_to_a_ten_thousandth_of_a_millimetre(tmp_path, suffix):
    rig, values = head(), poses()
    save_rig(rig, tmp_path / f"rig.{suffix}", played(values))
    apart = (baked(tmp_path / f"rig.{suffix}", played(values).frames) - rig.mesh(values)).abs().max()
    assert apart * 10 < 1e-4
    assert (rig.mesh(values) - rig.neutral).abs().max() > 1.0


def test_usd_comes_back_as_the_rig_and_the_performance_it_was(tmp_path):
    rig, values = head(), poses()
    save_rig(rig, tmp_path / "rig.usdc", played(values))
    back = load_rig(tmp_path / "rig.usdc")
    assert (back.controls, len(back.between), len(back.combinations)) == (rig.controls, 2, 2)
    assert (back.mesh(values) - rig.mesh(values)).abs().max() * 10 < 1e-4
    assert torch.equal(back.upper, rig.upper)
    assert back.markers.names == ("chin", "lip")
    assert torch.equal(back.regions["stable"], rig.regions["stable"])
    assert torch.equal(load_curves(tmp_path / "rig.usdc").only(CONTROLS).values, values)


def test_the_ict_rig_is_read_and_bakes_alike(data, tmp_path):
    rig = load_rig(data / "face" / "ict_facekit" / "ict_rig.npz")
    assert (len(rig.controls), len(rig.neutral), len(rig.faces)) == (53, 26719, 52220)
    assert len(rig.regions["stable"]) == 1487
    take = load_curves(data / "face" / "livelink_miller" / "MySlate_3.csv")
    from sfumato.face.control_names import sources

    columns = [take.of(sources(name, take.names)[0])[::41] for name in rig.controls]
    curves = Curves(rig.controls, tuple(float(i) for i in range(len(columns[0]))), torch.stack(columns, 1), 60.0)
    save_rig(rig, tmp_path / "ict.usdc", curves)
    assert (baked(tmp_path / "ict.usdc", curves.frames) - rig.mesh(curves.values)).abs().max() * 10 < 1e-4


def obj(path, vertices, faces=()):
    lines = [f"v {x!r} {y!r} {z!r}" for x, y, z in vertices.tolist()]
    lines += ["f " + " ".join(f"{corner + 1}/{corner + 1}/1" for corner in face) for face in faces]
    path.write_text("# made by a test\n" + "\n".join(lines) + "\n")


@pytest.fixture
def folder(tmp_path):
    """The head as a folder of OBJ files, quads, with another person's face in it."""
    rig, folder = head(), tmp_path / "head"
    folder.mkdir()
    half = len(rig.faces) // 2
    quads = torch.cat([rig.faces[:half], rig.faces[half:, 2:]], 1)
    obj(folder / "generic_neutral_mesh.obj", rig.neutral, quads.tolist())
    obj(folder / "identity000.obj", rig.neutral * 1.1)
    for name, delta in zip(rig.controls, rig.deltas, strict=True):
        obj(folder / f"{name}.obj", rig.neutral + delta)
    (folder / "vertex_indices.json").write_text(json.dumps({"idx_to_rigid_verts": [3, 5]}))
    return folder


def test_a_folder_of_obj_is_a_rig(folder):
    rig, back = head(), load_rig(folder)
    assert back.controls == tuple(sorted(CONTROLS))
    order = [back.controls.index(name) for name in CONTROLS]
    assert torch.allclose(back.deltas[order], rig.deltas, rtol=0, atol=1e-13)
    corners = {tuple(sorted(face)) for face in rig.faces.tolist()}
    assert {tuple(sorted(face)) for face in back.faces.tolist()} == corners
    assert back.regions["stable"].tolist() == [3, 5]


def test_a_folder_of_obj_says_what_is_wrong_with_it(folder):
    obj(folder / "jawOpen.obj", head().neutral[:-1])
    with pytest.raises(InputError, match=r"jawOpen.obj has 223 vertices and generic_neutral_mesh.obj has 224"):
        load_rig(folder)
    obj(folder / "my_neutral.obj", head().neutral)
    with pytest.raises(InputError, match="2 neutrals"):
        load_rig(folder)
    for file in folder.glob("*neutral*"):
        file.unlink()
    with pytest.raises(InputError, match="has no neutral"):
        load_rig(folder)


def test_a_head_of_millimetres_is_named(folder):
    obj(folder / "generic_neutral_mesh.obj", head().neutral * 10, head().faces.tolist())
    with pytest.raises(RequestError, match=r"in cm this rig is .* no head\n.*look like mm"):
        load_rig(folder)
    assert load_rig(folder, units="mm").neutral.abs().max() < 13


def gltf(path, binary, **changes):
    """A node, turned a quarter about y and moved, with a mesh of two targets; one of them sparse."""
    rig = head()
    metres = (rig.neutral / 100).numpy().astype("<f4")
    smile, jaw = (rig.deltas[i].numpy().astype("<f4") / np.float32(100) for i in (2, 0))
    rows = np.flatnonzero(smile.any(1)).astype("<u2")
    chunks = [
        metres.tobytes(),
        rig.faces.numpy().astype("<u2").tobytes(),
        jaw.tobytes(),
        rows.tobytes(),
        smile[rows].tobytes(),
    ]
    views, blob = [], b""
    for chunk in chunks:
        blob += b"\0" * (-len(blob) % 4)
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": len(chunk)})
        blob += chunk
    point = {"componentType": 5126, "count": len(metres), "type": "VEC3"}
    sparse = {"count": len(rows), "indices": {"bufferView": 3, "componentType": 5123}, "values": {"bufferView": 4}}
    accessors = [
        {**point, "bufferView": 0},
        {"componentType": 5123, "count": rig.faces.numel(), "type": "SCALAR", "bufferView": 1},
    ]
    accessors += [{**point, "bufferView": 2}, {**point, "sparse": sparse}]
    primitive = {"attributes": {"POSITION": 0}, "indices": 1, "targets": [{"POSITION": 2}, {"POSITION": 3}]}
    data = {
        "asset": {"version": "2.0"},
        "nodes": [{"children": [1], "translation": [0, 1, 0]}, {"mesh": 0, "rotation": [0, 0.5**0.5, 0, 0.5**0.5]}],
        "meshes": [{"primitives": [primitive], "extras": {"targetNames": ["jawOpen", "mouthSmile_L"]}}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(blob)}],
        **changes,
    }
    if not binary:
        data["buffers"][0]["uri"] = "data:application/octet-stream;base64," + base64.b64encode(blob).decode()
        path.write_text(json.dumps(data))
        return path
    text = json.dumps(data).encode()
    text += b" " * (-len(text) % 4)
    blob += b"\0" * (-len(blob) % 4)
    parts = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(blob), 0x004E4942) + blob
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(parts)) + parts)
    return path


@pytest.mark.parametrize("name", ["head.glb", "head.gltf"])
def test_gltf_is_metres_and_lies_where_its_nodes_put_it(tmp_path, name):
    rig = head()
    back = load_rig(gltf(tmp_path / name, name.endswith("glb")))
    turned = torch.stack([rig.neutral[:, 2], rig.neutral[:, 1] + 100, -rig.neutral[:, 0]], 1)
    assert back.controls == ("jawOpen", "mouthSmile_L")
    assert torch.allclose(back.neutral, turned, rtol=0, atol=1e-5)
    for row, ours in ((0, 0), (1, 2)):
        delta = rig.deltas[ours]
        assert torch.allclose(back.deltas[row], torch.stack([delta[:, 2], delta[:, 1], -delta[:, 0]], 1), atol=1e-6)
    assert torch.equal(back.faces, rig.faces)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"extensionsRequired": ["KHR_draco_mesh_compression"]}, "compressed with KHR_draco"),
        ({"meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}]}, "no morph targets"),
        ({"bufferViews": [{"buffer": 0, "byteOffset": 10**6}] * 5}, "points past its own data"),
    ],
)
def test_a_gltf_that_cannot_be_used_says_why(tmp_path, changes, said):
    with pytest.raises(InputError, match=said):
        load_rig(gltf(tmp_path / "head.glb", True, **changes))


def test_a_stage_of_another_program_in_metres_and_z_up_is_a_rig(tmp_path):
    lines = """#usda 1.0
(
    metersPerUnit = 1
    upAxis = "Z"
)
def SkelRoot "Head"
{
    def Mesh "Skin" (prepend apiSchemas = ["SkelBindingAPI"])
    {
        int[] faceVertexCounts = [4]
        int[] faceVertexIndices = [0, 1, 2, 3]
        point3f[] points = [(0, 0, 0), (0.2, 0, 0), (0.2, 0, 0.2), (0, 0, 0.2)]
        uniform token[] skel:blendShapes = ["jawOpen"]
        rel skel:blendShapeTargets = </Head/Skin/jaw>
        def BlendShape "jaw"
        {
            uniform vector3f[] offsets = [(0, 0, -0.01)]
            uniform int[] pointIndices = [2]
        }
    }
}
"""
    (tmp_path / "head.usda").write_text(lines)
    rig = load_rig(tmp_path / "head.usda")
    assert rig.faces.tolist() == [[0, 1, 2], [0, 2, 3]]
    assert torch.allclose(rig.neutral[2], torch.tensor([20.0, 20.0, 0.0]).double(), atol=1e-5)
    assert torch.allclose(rig.deltas[0, 2], torch.tensor([0.0, -1.0, 0.0]).double(), atol=1e-6)
    (tmp_path / "head.usda").write_text(lines.replace("pointIndices = [2]", "pointIndices = [9]"))
    with pytest.raises(InputError, match="the blend shape jawOpen does not fit its mesh of 4 points"):
        load_rig(tmp_path / "head.usda")


def test_rigs_that_are_none_are_told_what_they_lack(tmp_path):
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    for name, text, said in (
        ("none.npz", None, "is not there"),
        ("other.npz", None, "no rig of sfumato.rig/1"),
        ("cut.npz", "PK", "no npz of arrays"),
        ("bad.glb", "glTFxx", "no glTF file"),
        ("empty.usda", "#usda 1.0\n", "no mesh with blend shapes"),
    ):
        if text is not None:
            (tmp_path / name).write_text(text)
        with pytest.raises(InputError, match=said) as error:
            load_rig(tmp_path / name)
        assert error.value.hint
    (tmp_path / "rig.fbx").write_text("")
    with pytest.raises(RequestError, match="no rig by its name"):
        load_rig(tmp_path / "rig.fbx")


def test_a_rig_whose_shapes_move_nothing_is_refused(tmp_path):
    rig = head()
    still = NativeRig(rig.controls, rig.neutral, rig.faces, rig.deltas * 0)
    save_rig(still, tmp_path / "still.npz")
    with pytest.raises(InputError, match="none of its 5 shapes moves a vertex"):
        load_rig(tmp_path / "still.npz")
    with pytest.raises(RequestError, match="with or without curves"):
        save_rig(rig, tmp_path / "rig.npz", played(poses()))
