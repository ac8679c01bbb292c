"""Run by Blender's own Python: the client that Nuke and Maya use, and a Curves file on shape keys of a real mesh.

BLENDER_PYTHON drive.py matte|curves FOLDER          one JSON object on the last line of stdout
"""

import json
import os
import pathlib
import sys
import time

sys.path.append(str(pathlib.Path(__file__).resolve().parents[3] / "plugins"))

import bpy

from sfumato_plugins import curves, launch


def matte(folder):
    """A tiny matte by the warm engine, then the picture through Blender's own EXR reader."""
    engine = launch.Engine(host="blender", log_folder=os.path.join(folder, "logs"))
    began = time.monotonic()
    engine.start()
    engine.run(os.path.join(folder, "job.json"))
    heard = []
    while engine.busy or not heard:
        heard += engine.poll()
        time.sleep(0.01)
    heard += engine.poll()
    engine.close()
    ends = [message for message in heard if message["event"] in ("done", "failed", "cancelled")]
    image = bpy.data.images.load(os.path.join(folder, "matte.0001.exr"))
    image.alpha_mode = "CHANNEL_PACKED"
    width, height = image.size
    pixels = list(image.pixels)
    middle = 4 * ((height // 2) * width + width // 2)
    return {
        "ended": ends[-1],
        "events": sorted({message["event"] for message in heard}),
        "seconds": time.monotonic() - began,
        "size": [width, height],
        "middle": pixels[middle : middle + 4],
        "corner": pixels[:4],
        "torch": "torch" in sys.modules,
    }


def rig(names):
    """A grid of vertices with one shape key for each name; key i moves vertex j by a vector that only i and j know."""
    mesh = bpy.data.meshes.new("face")
    mesh.from_pydata([(x / 8, y / 8, 0.0) for x in range(8) for y in range(8)], [], [])
    face = bpy.data.objects.new("face", mesh)
    bpy.context.scene.collection.objects.link(face)
    face.shape_key_add(name="Basis")
    for i, name in enumerate(names):
        key = face.shape_key_add(name=name)
        key.slider_min, key.slider_max = -10.0, 10.0
        for j, point in enumerate(key.data):
            point.co = [a + b for a, b in zip(mesh.vertices[j].co, moved(i, j), strict=True)]
    return face


def moved(i, j):
    """How far key i moves vertex j, in whole 64ths so that Blender's floats hold it exactly."""
    return [((i * 7 + j * 3) % 11 - 5) / 64, ((i * 5 + j) % 13 - 6) / 64, ((i + j * 2) % 7 - 3) / 64]


def apply(face, take):
    """One F-curve for each name, all keys at once, linear between them."""
    keys = face.data.shape_keys
    action = bpy.data.actions.new("sfumato")
    keys.animation_data_create().action = action
    for name in take.names:
        curve = action.fcurves.new(f'key_blocks["{name}"].value')
        points = curve.keyframe_points
        points.add(len(take.frames))
        points.foreach_set("co", [x for pair in zip(take.frames, take.of(name), strict=True) for x in pair])
        points.foreach_set("interpolation", [1] * len(take.frames))  # linear
        curve.update()
    keys.animation_data.action_slot = action.slots[0]  # without a slot nothing moves, and nothing says so


def value_at(take, name, frame):
    """The take's own value, straight between its samples."""
    values = take.of(name)
    for (a, va), (b, vb) in zip(zip(take.frames, values), list(zip(take.frames, values))[1:]):  # noqa: B905
        if a <= frame <= b:
            return va + (vb - va) * (frame - a) / (b - a)
    return values[0] if frame < take.frames[0] else values[-1]


def worst(face, take, frame):
    """The largest distance along an axis between Blender's evaluated mesh and what the take says, at a frame."""
    bpy.context.scene.frame_set(int(frame // 1), subframe=frame % 1)
    mesh = face.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    weights = [value_at(take, name, frame) for name in take.names]
    wrong = 0.0
    for j, vertex in enumerate(mesh.vertices):
        base = face.data.vertices[j].co
        for axis in range(3):
            want = base[axis] + sum(weight * moved(i, j)[axis] for i, weight in enumerate(weights))
            wrong = max(wrong, abs(vertex.co[axis] - want))
    return wrong


def shapes(folder):
    """Apply take.json and compare the mesh at its ends, at keys, between keys and outside."""
    take = curves.load(os.path.join(folder, "take.json"))
    face = rig(take.names)
    began = time.perf_counter()
    apply(face, take)
    seconds = time.perf_counter() - began
    first, last = take.frames[0], take.frames[-1]
    frames = [first, first + 1, first + 1.5, (first + last) / 2, last - 0.25, last, first - 5, last + 5]
    errors = {str(frame): worst(face, take, frame) for frame in frames}
    still = max(abs(c) for i in range(len(take.names)) for j in range(64) for c in moved(i, j))
    return {"seconds": seconds, "errors": errors, "curves": len(take.names), "keys": len(take.frames), "reach": still}


if __name__ == "__main__":
    answer = {"matte": matte, "curves": shapes}[sys.argv[1]](sys.argv[2])
    print(json.dumps({"blender": bpy.app.version_string, "python": sys.version.split()[0], **answer}))
