"""Boxes out of Nuke's own nodes, against what pen and paper say; and nothing is left behind in the script."""

import json
import math
import pathlib

import pytest
from fakes.nuke import Nuke
from fakes.nuke_boxes import AnimCTransform, Layer, Moving, Shape, ShapeControlPoint
from fakes.nuke_nodes import Format

NUKE = pathlib.Path(__file__).resolve().parents[2] / "nuke"
FIRST, LAST = -3, 12
FRAMES = range(FIRST, LAST + 1)
ROUND = 0.5522847498  # handles of a circle in four curves


@pytest.fixture
def session(monkeypatch):
    monkeypatch.syspath_prepend(str(NUKE))
    with Nuke() as session:
        session.root["first_frame"].setValue(FIRST)
        session.root["last_frame"].setValue(LAST)
        yield session


@pytest.fixture
def plate(session):
    """plate(width, height, aspect) is a node of that format."""

    def make(width=1920, height=1080, aspect=1.0):
        node = session.make("Reformat")
        node._format = Format(width, height, aspect)
        return node

    return make


def baked(*nodes, **more):
    from sfumato_nuke.boxes import bake

    return bake(nodes, FIRST, LAST, **more)


def pixels(track, name=None):
    """An object's boxes as left, bottom, right, top in pixels, y up; None where it is not to be seen."""
    one = next(o for o in track["objects"] if name in (None, o["name"]))
    width, height = track["size"]
    return [b and (b[0] * width, (1 - b[3]) * height, b[2] * width, (1 - b[1]) * height) for b in one["boxes"]]


def close(found, expected, within=0.01):
    assert len(found) == len(expected)
    for frame, a, b in zip(FRAMES, found, expected, strict=True):
        if a is None or b is None:
            assert a is b, f"frame {frame}: {a} and {b}"
        else:
            assert max(abs(x - y) for x, y in zip(a, b, strict=True)) < within, f"frame {frame}: {a}, not {b}"


def bounds(points):
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def turned(x, y, degrees, scale, centre, shift, aspect=1.0):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    u, v = (x - centre[0]) * aspect * scale[0], (y - centre[1]) * scale[1]
    return (c * u - s * v) / aspect + centre[0] + shift[0], s * u + c * v + centre[1] + shift[1]


def corners(width, height):
    return [(0, 0), (width, 0), (width, height), (0, height)]


@pytest.mark.parametrize(("width", "aspect"), [(1920, 1.0), (960, 2.0), (1440, 4 / 3)])
def test_a_transform_with_keys_and_expressions_boxes_its_inputs_format(session, plate, width, aspect):
    node = session.make("Transform", plate(width, 1080, aspect))
    node["label"].setValue("red ball")
    node["center"].setValue((width / 2, 540))
    node["scale"]._move(0.2, 0.3)
    node["translate"]._move({FIRST: -300, LAST: 400}, 0)
    node["translate"].setExpression("10 * frame", 1)
    node["rotate"].setExpression("frame * 7 + 2")
    expected = []
    for frame in FRAMES:
        shift = (-300 + 700 * (frame - FIRST) / (LAST - FIRST), 10 * frame)
        points = [
            turned(x, y, frame * 7 + 2, (0.2, 0.3), (width / 2, 540), shift, aspect) for x, y in corners(width, 1080)
        ]
        expected.append(bounds(points))
    track = baked(node)
    close(pixels(track, "red ball"), expected)
    assert (track["size"], track["pixel_aspect"], track["start"], track["count"]) == ([width, 1080], aspect, -3, 16)


def test_an_expression_may_look_at_another_node_at_another_frame(session, plate):
    lead = session.make("Transform", plate())
    lead["translate"]._move({FIRST: 0, LAST: 150}, 0)
    node = session.make("Transform", plate())
    node["scale"]._move(0.1)
    node["translate"].setExpression(f"{lead.name()}.translate.x(frame - 2) + 30", 0)
    expected = [(x, 0, x + 192, 108) for f in FRAMES for x in [30 + 10 * (max(f - 2, FIRST) - FIRST)]]
    close(pixels(baked(node)), expected)


def test_one_number_for_both_scales_a_skew_and_the_inverse(session, plate):
    node = session.make("Transform", plate())
    node["scale"]._move({FIRST: 0.1, LAST: 0.4})
    node["skewX"]._move(0.25)
    expected = []
    for frame in FRAMES:
        s = 0.1 + 0.3 * (frame - FIRST) / (LAST - FIRST)
        expected.append((0, 0, s * (1920 + 0.25 * 1080), s * 1080))
    close(pixels(baked(node)), expected)
    back = session.make("Transform", node)
    for name in ("scale", "skewX"):
        back[name]._parts, back[name]._single = node[name]._parts, node[name]._single
    back["invert_matrix"].setValue(True)
    close(pixels(baked(back)), [(0, 0, 1920, 1080)] * 16)


def test_corners_that_are_pinned_are_the_box_and_one_switched_off_stays(session, plate):
    node = session.make("CornerPin2D", plate())
    for number, (x, y) in enumerate(corners(1920, 1080), 1):
        node[f"from{number}"].setValue((x, y))
        node[f"to{number}"]._move(0.25 * x + 400, 0.25 * y + 300)
    node["to3"]._move({FIRST: 880, LAST: 1000}, 570)
    expected = [(400, 300, max(880, 880 + 120 * (f - FIRST) / (LAST - FIRST)), 570) for f in FRAMES]
    close(pixels(baked(node)), expected)
    node["enable3"].setValue(False)
    close(pixels(baked(node)), [(400, 300, 1920, 1080)] * 16)


def test_a_shape_is_tight_through_its_layers_and_hidden_where_it_is(session, plate):
    roto = session.make("Roto", plate())
    k = ROUND * 100
    points = [((100, 0), (0, -k), (0, k)), ((0, 100), (k, 0), (-k, 0)), ((-100, 0), (0, k), (0, -k)),
              ((0, -100), (-k, 0), (k, 0))]  # fmt: skip
    ball = Shape("red_ball1", [ShapeControlPoint(*p) for p in points], AnimCTransform({FIRST: 0, LAST: 300}, 0))
    ball._visible = Moving(lambda frame: frame != 4)
    group = Layer("Layer1", [ball], AnimCTransform(700, 500, 30, 1.5))
    roto["curves"]._root = Layer("Root", [group], AnimCTransform(0, {FIRST: 0, LAST: 60}))
    c, s = 1.5 * math.cos(math.radians(30)), 1.5 * math.sin(math.radians(30))
    expected = []
    for frame in FRAMES:
        part = (frame - FIRST) / (LAST - FIRST)
        x, y = 700 + c * 300 * part, 500 + s * 300 * part + 60 * part
        expected.append(None if frame == 4 else (x - 150, y - 150, x + 150, y + 150))
    track = baked(roto)
    close(pixels(track), expected, within=0.05)  # four curves are a circle to 3e-4
    assert track["objects"][0]["phrases"] == ["red ball"]


def test_a_shape_under_a_transform_a_pin_and_a_time_offset_is_seen_through_them(session, plate):
    roto = session.make("Roto", plate())
    square = [ShapeControlPoint(({FIRST: x, LAST: x + 150}, y)) for x, y in ((0, 0), (200, 0), (200, 100), (0, 100))]
    roto["curves"]._root = Layer("Root", [Shape("box", square)])
    move = session.make("Transform", roto)
    move["translate"]._move(300, {FIRST: 0, LAST: 150})
    later = session.make("TimeOffset", move)
    later["time_offset"].setValue(5)
    pin = session.make("CornerPin2D", session.make("Dot", later))
    for number, (x, y) in enumerate(corners(1920, 1080), 1):
        pin[f"from{number}"].setValue((x, y))
        pin[f"to{number}"].setValue((x / 2, y / 2))
    expected = []
    for frame in FRAMES:
        part = max(frame - 5 - FIRST, 0) / (LAST - FIRST)
        x, y = 300 + 150 * part, 150 * part
        expected.append((x / 2, y / 2, (x + 200) / 2, (y + 100) / 2))
    close(pixels(baked(pin)), expected, within=0.01)


def test_perspective_on_curves_is_right_to_a_fifth_of_a_pixel(session, plate):
    roto = session.make("Roto", plate())
    k = ROUND * 300
    points = [((1260, 540), (0, -k), (0, k)), ((960, 840), (k, 0), (-k, 0)), ((660, 540), (0, k), (0, -k)),
              ((960, 240), (-k, 0), (k, 0))]  # fmt: skip
    roto["curves"]._root = Layer("Root", [Shape("ball", [ShapeControlPoint(*p) for p in points])])
    pin = session.make("CornerPin2D", roto)
    target = [(200, 100), (1500, 0), (1700, 900), (100, 1000)]
    for number, (corner, to) in enumerate(zip(corners(1920, 1080), target, strict=True), 1):
        pin[f"from{number}"].setValue(corner)
        pin[f"to{number}"].setValue(to)
    from sfumato_nuke.box_matrix import moved, pinned

    angles = [math.tau * i / 20000 for i in range(20000)]
    circle = [(960 + 300 * math.cos(a), 540 + 300 * math.sin(a)) for a in angles]
    expected = bounds(moved(pinned(corners(1920, 1080), target), circle))
    close(pixels(baked(pin)), [expected] * 16, within=0.2)


def test_tracks_are_centres_of_boxes_of_the_size_that_is_asked(session, plate):
    tracker = session.make("Tracker4", plate())
    tracker["tracks"]._track("left eye", {FIRST: 400, LAST: 550}, 500)
    tracker["tracks"]._track("nose", 900, lambda frame: 300 + frame**2)
    track = baked(tracker, size=(80, 40))
    expected = [(x - 40, 480, x + 40, 520) for f in FRAMES for x in [400 + 10 * (f - FIRST)]]
    close(pixels(track, "left eye"), expected)
    close(pixels(track, "nose"), [(860, 280 + f * f, 940, 320 + f * f) for f in FRAMES])
    assert [one["depth"] for one in track["objects"]] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("kind", "knobs", "there"),
    [
        ("TimeOffset", {"time_offset": -2}, lambda f: f + 2),
        ("TimeWarp", {"lookup": {FIRST: 2.5, LAST: 10}}, lambda f: 2.5 + 0.5 * (f - FIRST)),
        ("FrameHold", {"first_frame": 4}, lambda f: 4),
        ("Retime", {"input.first": 0, "input.last": 10, "output.first": 0, "output.last": 20}, lambda f: f / 2),
    ],
)
def test_retimes_ask_for_the_frame_they_show(session, plate, kind, knobs, there):
    tracker = session.make("Tracker4", plate())
    tracker["tracks"]._track("nose", lambda frame: 900 + 30 * frame, 500)
    node = session.make(kind, tracker)
    for name, value in knobs.items():
        node[name]._move(value)
    close(pixels(baked(node)), [(868 + 30 * there(f), 468, 932 + 30 * there(f), 532) for f in FRAMES])


@pytest.mark.parametrize("proxy", [False, True])
def test_any_nodes_bbox_is_baked_at_full_size_and_nothing_is_left_behind(session, plate, proxy):
    node = plate()
    node["label"].setValue("blue box")
    node._bbox = [Moving(part) for part in (lambda f: 100 + f, 200, {FIRST: 500, LAST: 650}, 400)]
    later = session.make("TimeOffset", node)
    later["label"].setValue("late box")
    later["time_offset"].setValue(1)
    session.root["proxy"].setValue(proxy)
    session.root.setModified(False)
    nodes, history = session.root.nodes(), list(session.undo)
    track = baked(node, later)
    close(pixels(track, "blue box"), [(100 + f, 200, 500 + 10 * (f - FIRST), 400) for f in FRAMES])
    late = [(99 + f, 200, 500 + 10 * max(f - 1 - FIRST, 0), 400) for f in FRAMES]
    close(pixels(track, "late box"), late)
    assert (session.root.nodes(), session.undo, session.root.modified()) == (nodes, history, False)
    assert (session.root.proxy(), session.frame) == (proxy, 1001)


def test_what_leaves_the_picture_is_hidden_there_and_never_clamped(session, plate):
    node = session.make("Transform", plate())
    node["scale"]._move(0.25)
    node["translate"]._move({FIRST: 960, LAST: 2460}, 0)
    found = pixels(baked(node))
    edges = [960 + 100 * (f - FIRST) for f in FRAMES]
    close(found, [(x, 0, x + 480, 270) if x < 1920 else None for x in edges])


def test_the_menu_writes_a_track_that_the_engine_reads(session, plate, tmp_path):
    node = session.make("Transform", plate())
    node["label"].setValue("red ball")
    node["scale"]._move(0.25)
    node.setSelected(True)
    path = tmp_path / "track.json"
    session.answers = [str(path), "a red ball on grass"]
    from sfumato_nuke import menu

    menu.install()
    session.choose("Nodes/sfumato/Boxes...")
    assert session.messages == [f"“red ball”: 16 frames in {path}"]
    track = json.loads(path.read_text())
    assert (track["fps"], track["prompts"]) == (24.0, [[-3, "a red ball on grass"]])
    engine = pytest.importorskip("sfumato.place.track_file", reason="needs the engine")
    staging = engine.read_track(path)
    staging.check()
    again = tmp_path / "again.json"
    engine.write_track(again, staging)
    assert engine.read_track(again) == staging


def test_what_cannot_be_baked_is_said_in_a_message_and_nothing_is_written(session, plate, tmp_path):
    from sfumato_nuke.boxes import export

    export()
    assert "Select what is to have boxes" in session.messages.pop()
    away = session.make("Transform", plate())
    away["translate"].setValue((5000, 0))
    away.setSelected(True)
    session.answers = [str(tmp_path / "track.json"), ""]
    export()
    assert "nothing of Transform1 is in the picture in frames -3 to 12" in session.messages.pop()
    assert not list(tmp_path.iterdir())
    session.answers = [None]
    export()
    assert session.messages == []
