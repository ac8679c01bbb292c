"""What a fake Nuke's Write writes: real EXR, computed by the engine's Python from a tree of nodes. Run as a program.

stdin: {"part": 1 or 2 (proxy), "pictures": [{"path", "channels", "half", "tree"}]}. A tree is {"op", "in", "knobs"}.
Pixels are kept over the whole format, top row first, the data window beside; Nuke counts rows from the bottom.
"""

import json
import pathlib
import sys

import numpy as np
import OpenImageIO as oiio  # noqa: N813

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import expressions

LONG = {"R": "red", "G": "green", "B": "blue", "A": "alpha", "Y": "red"}
SHORT = {"red": "R", "green": "G", "blue": "B", "alpha": "A"}
LETTER = {"r": "rgba.red", "g": "rgba.green", "b": "rgba.blue", "a": "rgba.alpha"}


class Picture:
    """channels: name ("rgba.red", "fg.green") -> (H, W). box: left, top, right, bottom of the data window."""

    def __init__(self, channels, size, box=None, aspect=1.0):
        self.channels, self.size = channels, size
        self.box = box or (0, 0, size[1], size[0])
        self.aspect = aspect

    def of(self, name):
        return self.channels.get(name, np.zeros(self.size, np.float32))

    def but(self, changed):
        return Picture({**self.channels, **changed}, self.size, self.box, self.aspect)


def read(path):
    source = oiio.ImageInput.open(path)
    if source is None:
        sys.exit(f"{path}: {oiio.geterror()}")
    spec = source.spec()
    pixels = source.read_image(oiio.FLOAT).reshape(spec.height, spec.width, spec.nchannels)
    size = (spec.full_height, spec.full_width)
    top, left = spec.y - spec.full_y, spec.x - spec.full_x
    channels = {}
    for i, name in enumerate(spec.channelnames):
        layer, _, leaf = name.rpartition(".")
        whole = np.zeros(size, np.float32)
        rows = slice(max(top, 0), min(top + spec.height, size[0]))
        columns = slice(max(left, 0), min(left + spec.width, size[1]))
        whole[rows, columns] = pixels[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left, i]
        channels[f"{layer or 'rgba'}.{LONG.get(leaf, leaf)}"] = whole
        if name == "Y":
            channels["rgba.green"] = channels["rgba.blue"] = whole
    box = (max(left, 0), max(top, 0), min(left + spec.width, size[1]), min(top + spec.height, size[0]))
    return Picture(channels, size, box, spec.get_float_attribute("PixelAspectRatio", 1.0))


def made(tree):
    if tree["op"] == "Read":
        return read(tree["file"])
    above = [made(one) for one in tree["in"]]
    return globals()[tree["op"]](tree["knobs"], *above)


def masked(knobs, change, picture):
    """A filter on the channels its knob names: alpha, rgb, or rgba."""
    chosen = {"alpha": ["alpha"], "rgb": ["red", "green", "blue"]}.get(knobs["channels"], list(SHORT))
    return picture.but({f"rgba.{name}": change(picture.of(f"rgba.{name}")).astype(np.float32) for name in chosen})


def Grade(knobs, picture):
    black, white, gamma = (float(knobs[name]) for name in ("blackpoint", "whitepoint", "gamma"))

    def change(x):
        x = (x - black) / (white - black) * float(knobs["multiply"])
        x = np.maximum(x, 0) ** (1 / gamma) if gamma != 1 else x
        x = np.maximum(x, 0) if knobs["black_clamp"] else x
        return np.minimum(x, 1) if knobs["white_clamp"] else x

    return masked(knobs, change, picture)


def moved(x, size):
    """Grown by a whole number of pixels in a square, or shrunk where it is negative."""
    reach = abs(round(size))
    padded = np.pad(x, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (2 * reach + 1, 2 * reach + 1))
    return windows.max((2, 3)) if size > 0 else windows.min((2, 3))


def Dilate(knobs, picture):
    return masked(knobs, lambda x: moved(x, float(knobs["size"])), picture)


def FilterErode(knobs, picture):
    return masked(knobs, lambda x: moved(x, -float(knobs["size"])), picture)


def calculated(knobs, names, picture):
    functions = {"max": np.maximum, "min": np.minimum, "abs": np.abs}
    changed = {}
    for i, leaf in enumerate(SHORT):
        if knobs[f"expr{i}"]:
            value = expressions.evaluate(knobs[f"expr{i}"], names, np.where, functions)
            changed[f"rgba.{leaf}"] = np.broadcast_to(np.asarray(value, np.float32), picture.size)
    return picture.but(changed)


def Expression(knobs, picture):
    return calculated(knobs, lambda name: picture.of(LETTER[name]), picture)


def MergeExpression(knobs, b, a):
    return calculated(knobs, lambda name: {"A": a, "B": b}[name[0]].of(LETTER[name[1:]]), b)


def Copy(knobs, b, a):
    pairs = [(knobs[f"from{i}"], knobs[f"to{i}"]) for i in range(4)]
    return b.but({to: a.of(source) for source, to in pairs if source != "none"})


def Unpremult(knobs, picture):
    alpha = picture.of("rgba.alpha")
    share = np.divide(1, alpha, out=np.zeros_like(alpha), where=alpha != 0)
    return picture.but({f"rgba.{c}": picture.of(f"rgba.{c}") * share for c in ("red", "green", "blue")})


def Premult(knobs, picture):
    alpha = picture.of("rgba.alpha")
    return picture.but({f"rgba.{c}": picture.of(f"rgba.{c}") * alpha for c in ("red", "green", "blue")})


def Crop(knobs, picture):
    left, bottom, right, top = (round(v) for v in knobs["box"])
    height = picture.size[0]
    box = (max(left, 0), max(height - top, 0), min(right, picture.size[1]), min(height - bottom, height))
    inside = np.zeros(picture.size, bool)
    inside[box[1] : box[3], box[0] : box[2]] = True
    return Picture({k: np.where(inside, v, 0) for k, v in picture.channels.items()}, picture.size, box, picture.aspect)


def Black(knobs, *above):
    return Picture({}, tuple(knobs["size"]))


def write(order, part):
    picture = made(order["tree"])
    leaves = {"rgb": ["red", "green", "blue"], "alpha": ["alpha"]}.get(order["channels"], list(SHORT))
    left, top, right, bottom = (v // part for v in picture.box)
    pixels = np.stack([picture.of(f"rgba.{leaf}")[::part, ::part] for leaf in leaves], -1)[top:bottom, left:right]
    spec = oiio.ImageSpec(right - left, bottom - top, len(leaves), oiio.HALF if order["half"] else oiio.FLOAT)
    spec.x, spec.y, spec.full_x, spec.full_y = left, top, 0, 0
    spec.full_height, spec.full_width = (v // part for v in picture.size)
    spec.channelnames = [SHORT[leaf] for leaf in leaves]
    spec.attribute("compression", "zips")
    spec.attribute("PixelAspectRatio", picture.aspect)
    pathlib.Path(order["path"]).parent.mkdir(parents=True, exist_ok=True)
    out = oiio.ImageOutput.create(order["path"])
    if not (
        out.open(order["path"], spec) and out.write_image(np.ascontiguousarray(pixels, np.float32)) and out.close()
    ):
        sys.exit(f"{order['path']}: {out.geterror()}")


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    for one in asked["pictures"]:
        write(one, asked["part"])
