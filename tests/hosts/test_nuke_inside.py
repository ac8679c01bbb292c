"""What the nodes inside the Group do to pixels: the unknown band as it is sent and seen, the edge after the solve.

Nuke's own nodes are stood in for by numpy (fakes/pixels.py); the wiring, knobs and expressions are those that ship.
"""

import json
import pathlib
import subprocess

import pytest
from fakes.nuke import Nuke

NUKE = pathlib.Path(__file__).resolve().parents[2] / "nuke"
HEIGHT, WIDTH = 24, 32


@pytest.fixture(autouse=True)
def nuke_path(monkeypatch):
    monkeypatch.syspath_prepend(str(NUKE))


@pytest.fixture
def pictures(engine, tmp_path):
    """pictures.write(name, {"A": rows}) makes name.exr; pictures.read(path, "A") gives rows."""
    return Pictures(engine, tmp_path)


class Pictures:
    def __init__(self, engine, folder):
        self.engine, self.folder = engine, folder

    def run(self, code, *words, given=None):
        code = "import json, sys\nimport numpy as np\nimport OpenImageIO as oiio\n" + code
        done = subprocess.run(
            [self.engine, "-c", code, *map(str, words)], input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write(self, name, channels, box=None):
        """Full pictures of HEIGHT x WIDTH; box: left, top, right, bottom of the data window."""
        code = """
asked = json.load(sys.stdin)
l, t, r, b = asked["box"]
a = np.stack([np.array(rows, np.float32) for rows in asked["channels"].values()], -1)
spec = oiio.ImageSpec(r - l, b - t, a.shape[2], oiio.FLOAT)
spec.x, spec.y, spec.full_width, spec.full_height = l, t, a.shape[1], a.shape[0]
spec.channelnames = list(asked["channels"])
out = oiio.ImageOutput.create(asked["path"])
assert out.open(asked["path"], spec) and out.write_image(np.ascontiguousarray(a[t:b, l:r])) and out.close()
"""
        path = str(self.folder / f"{name}.exr")
        asked = {"path": path, "channels": channels, "box": box or (0, 0, WIDTH, HEIGHT)}
        self.run(code, given=json.dumps(asked))
        return path

    def read(self, path, *channels):
        code = """
i = oiio.ImageInput.open(sys.argv[1])
s = i.spec()
whole = np.zeros((s.full_height, s.full_width, s.nchannels))
whole[s.y : s.y + s.height, s.x : s.x + s.width] = i.read_image(oiio.FLOAT)
print(json.dumps([whole[:, :, s.channelnames.index(name)].tolist() for name in sys.argv[2:]]))
"""
        return json.loads(self.run(code, path, *channels))


def rows(value):
    return [[float(value(y, x)) for x in range(WIDTH)] for y in range(HEIGHT)]


def square(y, x, low, high):
    return low <= x < WIDTH - low and low <= y < HEIGHT - low if high is None else low <= x < high and low <= y < high


TRIMAP = rows(lambda y, x: 1.0 if square(y, x, 8, 16) else 0.5 if square(y, x, 5, 19) else 0.0)


@pytest.fixture
def session(engine):
    with Nuke(engine=engine) as session:
        yield session


@pytest.fixture
def node(session):
    from sfumato_nuke.node import build

    from sfumato_plugins.tools.matte import MATTE

    return build(MATTE)


def arrow(session, node, name, path):
    from sfumato_nuke.matte import NUMBER

    node.setInput(NUMBER[name], session.read(path, 1, 1))


def sent(session, node, pictures):
    """The trimap as it would be rendered for the solve."""
    write = node.node("write_trimap")
    write["file"].setValue(str(pictures.folder / "sent.exr"))
    write["disable"].setValue(False)
    session.module.execute(write, 1, 1, 1)
    return pictures.read(pictures.folder / "sent.exr", "A")[0]


def seen(session, node, pictures, *channels):
    """What the node passes on."""
    write = session.make("Write", node)
    write["file_type"].setValue("exr")
    write["datatype"].setValue("32 bit float")
    write["channels"].setValue("rgba")
    write["file"].setValue(str(pictures.folder / "seen.exr"))
    session.module.execute(write, 1, 1, 1)
    return pictures.read(pictures.folder / "seen.exr", *channels)


def band(rows):
    """Where a trimap is unknown: left, right on the row through the middle of the square."""
    unknown = [x for x, value in enumerate(rows[12]) if value == 0.5]
    inner = [x for x, value in enumerate(rows[12]) if value == 1]
    return unknown[0], inner[0], inner[-1] + 1, unknown[-1] + 1


@pytest.mark.parametrize(("inward", "outward"), [(0, 0), (2, 0), (0, 3), (1, 2), (-1, -1)])
def test_a_trimaps_band_grows_and_shrinks_by_the_knobs(session, node, pictures, inward, outward):
    arrow(session, node, "plate", pictures.write("plate", dict.fromkeys("RGB", rows(lambda y, x: 0.2))))
    arrow(session, node, "trimap", pictures.write("trimap", dict.fromkeys("RGB", TRIMAP)))
    node["band_inward"].setValue(float(inward))
    node["band_outward"].setValue(float(outward))
    found = sent(session, node, pictures)
    assert {value for row in found for value in row} == {0, 0.5, 1}
    assert band(found) == (5 - outward, 8 + inward, 16 - inward, 19 + outward)
    if not inward and not outward:
        assert found == TRIMAP


def test_a_trimap_in_alpha_is_taken_when_told(session, node, pictures):
    grey = rows(lambda y, x: 0.3)
    arrow(session, node, "plate", pictures.write("plate", dict.fromkeys("RGB", grey)))
    arrow(session, node, "trimap", pictures.write("trimap", {**dict.fromkeys("RGB", grey), "A": TRIMAP}))
    node["trimap_from"].setValue("alpha")
    assert sent(session, node, pictures) == TRIMAP


def test_a_small_bounding_box_is_no_edge(session, node, pictures):
    arrow(session, node, "plate", pictures.write("plate", dict.fromkeys("RGB", rows(lambda y, x: 0.2))))
    cropped = pictures.write("trimap", dict.fromkeys("RGB", TRIMAP), box=(4, 4, 20, 20))
    arrow(session, node, "trimap", cropped)
    node["band_outward"].setValue(1.0)
    assert band(sent(session, node, pictures)) == (4, 8, 16, 20)


def test_a_rotos_band_is_its_edge_shrunk_and_grown(session, node, pictures):
    roto = rows(lambda y, x: square(y, x, 8, 16))
    arrow(session, node, "plate", pictures.write("plate", dict.fromkeys("RGB", rows(lambda y, x: 0.2))))
    arrow(session, node, "roto", pictures.write("roto", {"A": roto}))
    node["matte_erode"].setValue(2.0)
    node["matte_dilate"].setValue(3.0)
    node["band_outward"].setValue(1.0)
    assert band(sent(session, node, pictures)) == (4, 10, 14, 20)


def test_core_and_garbage_leave_between_them_what_is_unknown(session, node, pictures):
    arrow(session, node, "plate", pictures.write("plate", dict.fromkeys("RGB", rows(lambda y, x: 0.2))))
    arrow(session, node, "core", pictures.write("core", {"A": rows(lambda y, x: square(y, x, 8, 16))}))
    outside = rows(lambda y, x: not square(y, x, 5, 19))
    arrow(session, node, "garbage", pictures.write("garbage", {"A": outside}))
    node["band_inward"].setValue(2.0)
    assert sent(session, node, pictures) == TRIMAP


def test_the_overlay_reddens_the_band_and_nothing_else(session, node, pictures):
    arrow(session, node, "plate", pictures.write("plate", dict.fromkeys("RGB", rows(lambda y, x: 0.2))))
    arrow(session, node, "trimap", pictures.write("trimap", dict.fromkeys("RGB", TRIMAP)))
    node["show"].setValue("unknown band")
    red, green = seen(session, node, pictures, "R", "G")
    for y in range(HEIGHT):
        for x in range(WIDTH):
            unknown = TRIMAP[y][x] == 0.5
            assert red[y][x] == pytest.approx(0.6 if unknown else 0.2)
            assert green[y][x] == pytest.approx(0.1 if unknown else 0.2)


COLOUR = {"R": 0.9, "G": 0.5, "B": 0.1}


def ramp(y, x):
    return min(max((x - 8) / 16, 0), 1)


def result(pictures, form):
    """A result as the engine writes it, for each way of holding the foreground's colour."""
    alpha = rows(ramp)
    if form == "alone":
        return pictures.write("result", {"A": alpha}), 3
    straight = form == "straight"
    rgb = {c: rows(lambda y, x, v=v: v if straight else v * ramp(y, x)) for c, v in COLOUR.items()}
    fg = {f"fg.{c}": rows(lambda y, x, v=v: v) for c, v in COLOUR.items()} if form == "layer" else {}
    return pictures.write("result", {**rgb, "A": alpha, **fg}), {"premultiplied": 0, "straight": 1, "layer": 2}[form]


def showing(session, node, pictures, form):
    path, number = result(pictures, form)
    arrow(session, node, "plate", pictures.write("plate", {c: rows(lambda y, x, v=v: v) for c, v in COLOUR.items()}))
    for name, value in (("file", path), ("first", 1), ("last", 1)):
        node.node("result")[name].setValue(value)
    node["has_result"].setValue(True)
    node["result_form"].setValue(number)


def expected(alpha, colour=COLOUR):
    return [*(rows(lambda y, x, v=v: v * alpha(y, x)) for v in colour.values()), rows(alpha)]


def apart(one, other):
    both = [[value for channel in picture for row in channel for value in row] for picture in (one, other)]
    return max(abs(a - b) for a, b in zip(*both, strict=True))


FORMS = ("premultiplied", "straight", "layer", "alone")


@pytest.mark.parametrize("form", FORMS)
def test_untouched_the_result_comes_through_premultiplied(session, node, pictures, form):
    showing(session, node, pictures, form)
    assert apart(seen(session, node, pictures, *"RGBA"), expected(ramp)) < 1e-6


@pytest.mark.parametrize("form", FORMS)
def test_points_and_gamma_change_the_edge_and_colour_follows(session, node, pictures, form):
    showing(session, node, pictures, form)
    for name, value in (("after_black", 0.25), ("after_white", 0.75), ("after_gamma", 2.0)):
        node[name].setValue(value)

    def edge(y, x):
        return min(max((ramp(y, x) - 0.25) / 0.5, 0), 1) ** 0.5

    assert apart(seen(session, node, pictures, *"RGBA"), expected(edge)) < 1e-6


def test_a_grown_edge_has_colour_where_the_layer_has_it(session, node, pictures):
    showing(session, node, pictures, "layer")
    node["after_erode"].setValue(-3.0)
    assert apart(seen(session, node, pictures, *"RGBA"), expected(lambda y, x: ramp(y, x + 3))) < 1e-6


def test_despill_takes_the_screens_colour_out(session, node, pictures):
    showing(session, node, pictures, "layer")
    node["after_despill"].setValue("green")
    (green,) = seen(session, node, pictures, "G")
    assert green[0][31] == pytest.approx(0.5)  # green is not above the mean of red and blue: nothing to take
    node["after_despill"].setValue("blue")
    (blue,) = seen(session, node, pictures, "B")
    assert blue[0][31] == pytest.approx(0.1)
    COLOUR_GREEN = {"R": 0.2, "G": 0.8, "B": 0.2}
    layers = {**{c: rows(lambda y, x, v=v: v) for c, v in COLOUR_GREEN.items()}, "A": rows(lambda y, x: 1.0)}
    node.node("result")["file"].setValue(pictures.write("green", layers))
    node["result_form"].setValue(1)
    node["after_despill"].setValue("green")
    node["after_despill_amount"].setValue(0.5)
    (green,) = seen(session, node, pictures, "G")
    assert green[0][31] == pytest.approx(0.8 - 0.5 * 0.6)


def test_what_is_shown_follows_the_switch_and_falls_back(session, node, pictures):
    showing(session, node, pictures, "straight")
    node["has_result"].setValue(False)
    assert seen(session, node, pictures, "R")[0][0][0] == pytest.approx(0.9), "no result yet: the plate"
    node["has_result"].setValue(True)
    assert seen(session, node, pictures, "R")[0][0][0] == 0
    node["show"].setValue("matte")
    assert seen(session, node, pictures, "R", "G")[1][0][31] == 1
    node["show"].setValue("this frame")
    assert seen(session, node, pictures, "R")[0][0][31] == pytest.approx(0.9), "no frame yet: the result"
    other = {**{c: rows(lambda y, x: 0.3) for c in "RGB"}, "A": rows(lambda y, x: 1.0)}
    node.node("this_frame")["file"].setValue(pictures.write("frame", other))
    node["has_frame"].setValue(True)
    node["frame_form"].setValue(1)
    assert seen(session, node, pictures, "R")[0][0][31] == pytest.approx(0.3)
    session.gui = False
    assert seen(session, node, pictures, "R")[0][0][31] == pytest.approx(0.9), "a farm gets the result"
    node["show"].setValue("unknown band")
    assert seen(session, node, pictures, "R")[0][0][31] == pytest.approx(0.9)
