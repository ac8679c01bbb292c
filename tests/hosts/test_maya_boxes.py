"""Boxes of transforms as a Maya camera sees them, against pen and paper: to half a pixel of 1920, time stands still."""

import json
import math
import random

import pytest
from fakes import strict
from fakes.maya import Maya
from fakes.maya_camera import shaped
from fakes.maya_scene import LINEAR

FILM = (36 / 25.4, 24 / 25.4)  # inches: 3 to 2
CUBE = [(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]
EDGES = [(a, b) for a in range(8) for b in range(a) if sum(p != q for p, q in zip(CUBE[a], CUBE[b], strict=True)) == 1]
FRAMES = range(1001, 1005)


@pytest.fixture
def maya(tmp_path):
    with Maya(home=tmp_path).with_sfumato() as found:
        make = found.commands_of_scene.make
        make("resolution", "defaultResolution")
        camera = make("camera", "shotShape", make("transform", "shot"))
        for side, inches in zip(("horizontal", "vertical"), FILM, strict=True):
            camera.attrs[f"{side}FilmAperture"].value = inches
        found.lens = {name: attr for name, attr in camera.attrs.items()}
        found.picture = found.scene.find("defaultResolution")[0].attrs
        yield found


def cube(maya, name="red_ball", at=(0, 0, -10), points=CUBE, edges=EDGES, parent=None):
    node = maya.commands_of_scene.make("transform", name, parent)
    shaped(maya.commands_of_scene.make("mesh", f"{name}Shape", node), points, edges)
    for axis, value in zip("XYZ", at, strict=True):
        node.attrs[f"translate{axis}"].value = value
    return node


def key(maya, attribute, *pairs):
    attr = maya.scene.attr(attribute)
    curve = maya.commands_of_scene.make("animCurveTU", attribute.replace(".", "_"))
    object.__setattr__(curve, "keys", [(maya.scene.ticks(f), v, LINEAR, LINEAR) for f, v in pairs])
    attr.source = curve.attrs["output"]


def baked(nodes=("red_ball",), first=FRAMES[0], last=FRAMES[-1], **more):
    from sfumato_maya.boxes import bake

    return bake(nodes, first=first, last=last, **more)


def close(track, expected, name="red_ball", within=0.01):
    """expected: left, top, right, bottom in parts of the picture, or None, for each frame."""
    (one,) = [one for one in track["objects"] if one["name"] == name]
    assert len(one["boxes"]) == len(expected)
    for found, wanted in zip(one["boxes"], expected, strict=True):
        if found is None or wanted is None:
            assert found is wanted
        else:
            apart = [abs(a - b) * size for a, b, size in zip(found, wanted, [*track["size"]] * 2, strict=True)]
            assert max(apart) < within, f"{found}, not {wanted}"


def seen(points, half, centre=(0.0, 0.0)):
    """The box of points of the camera's space; half: tangents of half the picture's angles."""
    xs = [0.5 + (x / -z - centre[0]) / (2 * half[0]) for x, y, z in points]
    ys = [0.5 - (y / -z - centre[1]) / (2 * half[1]) for x, y, z in points]
    return min(xs), min(ys), max(xs), max(ys)


WIDE, TALL = (1920, 1080, 1.0), (1080, 900, 1.0)  # wider than the film, narrower
BY_WIDTH, BY_HEIGHT = "width", "height"


@pytest.mark.parametrize(
    ("fit", "picture", "kept"),
    [
        (0, WIDE, BY_WIDTH), (0, TALL, BY_HEIGHT), (1, WIDE, BY_WIDTH), (1, TALL, BY_WIDTH),
        (2, WIDE, BY_HEIGHT), (2, TALL, BY_HEIGHT), (3, WIDE, BY_HEIGHT), (3, TALL, BY_WIDTH),
        (0, (960, 1080, 2.0), BY_WIDTH),
    ],
)  # fmt: skip
@pytest.mark.parametrize("overscan", [1.0, 1.3])
def test_each_film_fit_shows_what_its_name_says_and_the_viewports_overscan_moves_nothing(
    maya, fit, picture, kept, overscan
):
    for name, value in zip(("width", "height", "pixelAspect"), picture, strict=True):
        maya.picture[name].value = value
    maya.lens["filmFit"].value, maya.lens["overscan"].value, maya.lens["focalLength"].value = fit, overscan, 50.0
    cube(maya, at=(1, -2, -12))
    aspect = picture[0] * picture[2] / picture[1]
    half = (18 / 50, 18 / 50 / aspect) if kept == BY_WIDTH else (12 / 50 * aspect, 12 / 50)
    points = [(x + 1, y - 2, z - 12) for x, y, z in CUBE]
    track = baked()
    close(track, [seen(points, half)] * 4)
    assert (track["size"], track["pixel_aspect"]) == ([picture[0], picture[1]], picture[2])


def test_film_offset_squeeze_and_the_fits_own_offset_shift_the_picture(maya):
    lens = maya.lens
    lens["filmFit"].value, lens["focalLength"].value = 1, 40.0
    lens["horizontalFilmOffset"].value, lens["verticalFilmOffset"].value = 0.2, -0.1
    lens["filmFitOffset"].value, lens["lensSqueezeRatio"].value, lens["cameraScale"].value = 0.05, 2.0, 1.1
    cube(maya)
    half = 1.1 * 36 * 2 / 40 / 2
    centre = (1.1 * 0.2 * 2 * 25.4 / 40, 1.1 * (-0.1 + 0.05) * 25.4 / 40)
    points = [(x, y, z - 10) for x, y, z in CUBE]
    close(baked(), [seen(points, (half, half * 9 / 16), centre)] * 4)


def test_an_animated_lens_and_a_camera_that_moves_turns_and_is_scaled(maya):
    key(maya, "shotShape.focalLength", (1001, 20.0), (1004, 80.0))
    key(maya, "shot.translateX", (1001, 0.0), (1004, 3.0))
    key(maya, "shot.rotateY", (1001, 0.0), (1004, math.radians(-4)))
    rig = maya.commands_of_scene.make("transform", "rig")
    maya.scene.find("shot")[0].parent = rig
    rig.attrs["scaleX"].value = rig.attrs["scaleY"].value = rig.attrs["scaleZ"].value = 2.0
    cube(maya, at=(2, 1, -20))
    expected = []
    for frame in FRAMES:
        part = (frame - 1001) / 3
        half = 18 / (20 + 60 * part)
        turn, x0 = math.radians(-4 * part), 2 * 3 * part
        c, s = math.cos(turn), math.sin(turn)
        points = [(c * (x + 2 - x0) - s * (z - 20), y + 1, s * (x + 2 - x0) + c * (z - 20)) for x, y, z in CUBE]
        expected.append(seen(points, (half, half * 9 / 16)))
    close(baked(), expected)


def test_a_group_is_the_box_of_all_its_meshes_turned_and_scaled_with_it(maya):
    group = maya.commands_of_scene.make("transform", "hero:red_ball")
    group.attrs["translateZ"].value = -30.0
    key(maya, "hero:red_ball.rotateZ", (1001, 0.0), (1004, math.radians(90)))
    cube(maya, "left", (-4, 0, 0), parent=group)
    cube(maya, "right", (4, 0, 0), parent=group).attrs["scaleY"].value = 2.0
    expected = []
    for frame in FRAMES:
        c, s = math.cos(math.radians(30 * (frame - 1001))), math.sin(math.radians(30 * (frame - 1001)))
        flat = [(x + side, y * tall, z) for side, tall in ((-4, 1), (4, 2)) for x, y, z in CUBE]
        points = [(c * x - s * y, s * x + c * y, z - 30) for x, y, z in flat]
        expected.append(seen(points, (18 / 35, 18 / 35 * 9 / 16)))
    track = baked(["hero:red_ball"])
    close(track, expected, "hero:red_ball")
    assert track["objects"][0]["phrases"] == ["red ball"]


def test_what_crosses_the_near_plane_is_cut_there_before_anything_is_divided(maya):
    maya.lens["nearClipPlane"].value = 0.5
    floor = [(-1, -1, 5), (1, -1, 5), (1, -1, -10), (-1, -1, -10)]
    cube(maya, at=(0, 0, 0), points=floor, edges=[(0, 1), (1, 2), (2, 3), (3, 0)])
    half = 18 / 35
    cut = [(-1, -1, -0.5), (1, -1, -0.5), (1, -1, -10), (-1, -1, -10)]
    close(baked(), [seen(cut, (half, half * 9 / 16))] * 4)
    key(maya, "red_ball.translateZ", (1001, 0.0), (1004, 30.0))
    track = baked()
    assert [box is None for box in track["objects"][0]["boxes"]] == [False, True, True, True], "then all is behind"


def test_only_edges_are_cut_where_an_object_bulges_inwards(maya):
    maya.lens["nearClipPlane"].value = 1.0
    fork = [(-3, 0, 5), (-3, 0, -4), (0, 0, -8), (3, 0, -4), (3, 0, 5), (0, 6, -8)]
    cube(maya, at=(0, 0, 0), points=fork, edges=[(0, 1), (1, 2), (2, 3), (3, 4), (2, 5)])
    half = 18 / 35
    cut = [(-3, 0, -1), (-3, 0, -4), (0, 0, -8), (3, 0, -4), (3, 0, -1), (0, 6, -8)]
    close(baked(), [seen(cut, (half, half * 9 / 16))] * 4)


def test_a_deformed_mesh_is_read_at_every_frame_and_a_rigid_one_once(maya):
    def points(frame):
        return [(x * (frame - 1000), y, z) for x, y, z in CUBE]

    cube(maya, at=(0, 0, -40), points=points)
    skin = maya.commands_of_scene.make("skinCluster", "skin")
    maya.scene.find("red_ballShape")[0].attrs["inMesh"].source = skin.add("outputGeometry", kind="mesh")
    half = 18 / 35
    expected = [seen([(x, y, z - 40) for x, y, z in points(f)], (half, half * 9 / 16)) for f in FRAMES]
    close(baked(), expected)


def test_a_dense_mesh_is_boxed_by_the_corners_of_its_hull_alone(maya):
    from sfumato_maya.hull import corners

    pick = random.Random(7)
    ball = [(math.cos(a) * s, math.sin(a) * s, z) for a, z in ((pick.uniform(0, math.tau), pick.uniform(-1, 1))
            for _ in range(120)) for s in [math.sqrt(1 - z * z)]]  # fmt: skip
    inside = [tuple(pick.uniform(-0.5, 0.5) for _ in range(3)) for _ in range(500)]
    assert corners([*inside, *ball]) == list(range(500, 620))
    grid = [(x, y, z) for x in range(5) for y in range(5) for z in range(5)]
    assert {grid[n] for n in corners(grid)} >= {(x, y, z) for x in (0, 4) for y in (0, 4) for z in (0, 4)}
    assert len(corners(grid)) < 40
    flat = [(x, y, 0) for x in range(5) for y in range(5)]
    assert corners(flat) == list(range(25))
    cube(maya, at=(0, 0, -12), points=[*inside, *ball], edges=[])
    key(maya, "red_ball.rotateY", (1001, 0.0), (1004, 2.0))
    expected = []
    for frame in FRAMES:
        c, s = math.cos(2 * (frame - 1001) / 3), math.sin(2 * (frame - 1001) / 3)
        points = [(c * x + s * z, y, -s * x + c * z - 12) for x, y, z in [*inside, *ball]]
        expected.append(seen(points, (18 / 35, 18 / 35 * 9 / 16)))
    close(baked(), expected, within=1e-6)


def test_an_orthographic_camera_has_no_perspective_and_metres_stay_metres(maya):
    maya.lens["orthographic"].value, maya.lens["orthographicWidth"].value = True, 16.0
    cube(maya, at=(2, 1, -50))
    maya.cmds.currentUnit(linear="m")
    close(baked(), [(0.5 + 1 / 16, 0.5 - 2 / 9, 0.5 + 3 / 16, 0.5)] * 4)


def test_depth_is_how_near_the_nearest_point_is_and_hidden_is_not_there(maya):
    cube(maya, "near_cube", (0, 0, -10))
    cube(maya, "far_cube", (1, 0, -20))
    key(maya, "far_cube.translateZ", (1001, -20.0), (1004, -8.0))
    key(maya, "near_cube.visibility", (1001, 1), (1003, 1), (1003.01, 0), (1004, 0))
    near, far = baked(["near_cube", "far_cube"])["objects"]
    assert near["depth"] == 9.0
    assert [round(depth, 9) for _, depth in far["depth"]] == [19, 15, 11, 7]
    assert [box is None for box in near["boxes"]] == [False, False, False, True]


def test_nothing_moves_and_nothing_is_changed(maya):
    cube(maya)
    key(maya, "red_ball.translateX", (1001, 0.0), (1004, 3.0))
    maya.cmds.currentTime(1002)
    maya.cmds.select("red_ball")
    before, calls = maya.snapshot(), len(strict.calls(maya.cmds))
    baked(())
    assert maya.snapshot() == before
    assert not {"currentTime", "setAttr", "select"} & {name for name, _, _ in strict.calls(maya.cmds)[calls:]}


def test_what_cannot_be_baked_is_said(maya):
    from sfumato_plugins.errors import JobError

    with pytest.raises(JobError, match="nothing is selected"):
        baked(())
    maya.commands_of_scene.make("transform", "empty")
    with pytest.raises(JobError, match="has no mesh below it"):
        baked(["empty"])
    cube(maya, at=(500, 0, -10))
    with pytest.raises(JobError, match="nothing of red_ball is in the picture in frames 1001 to 1004"):
        baked()
    with pytest.raises(JobError, match="empty is no camera"):
        baked(camera="empty")
    maya.lens["filmTranslateH"].value = 0.1
    with pytest.raises(JobError, match="a film back with filmTranslateH"):
        baked()
    maya.lens["renderable"].value = False
    with pytest.raises(JobError, match="no camera of the scene renders"):
        baked()


def test_the_panel_writes_a_track_that_the_engine_reads(maya, tmp_path):
    cube(maya)
    maya.cmds.select("red_ball")
    maya.ui.press(maya.ui.entry("sfumatoMenu", "Export Boxes..."))
    maya.ui.type("sfumato_boxes_prompt", "a red ball on grass")
    maya.ui.type("sfumato_boxes_last", 1008.0)
    path = tmp_path / "track.json"
    maya.ui.type("sfumato_boxes_file", str(path))
    maya.ui.press("sfumato_boxes_export")
    assert maya.ui.read("sfumato_boxes_status") == f"red_ball: 8 frames: {path}"
    assert json.loads(path.read_text())["prompts"] == [[1001, "a red ball on grass"]]
    maya.ui.type("sfumato_boxes_last", 1.0)
    maya.ui.press("sfumato_boxes_export")
    assert "is no range" in maya.ui.read("sfumato_boxes_status")
    engine = pytest.importorskip("sfumato.place.track_file", reason="needs the engine")
    staging = engine.read_track(path)
    staging.check()
    assert staging.subjects[0].called("a red ball on grass") == "red ball"


def test_the_panels_of_place_and_trail_know_their_frames_without_being_told(maya, tmp_path):
    from sfumato_maya import panel

    cube(maya)
    track = tmp_path / "track.json"
    track.write_text(json.dumps(baked(prompt="a red ball on grass")))
    trail = panel.show("trail")
    maya.ui.type("sfumato_trail_track", str(track))
    maya.ui.type("sfumato_trail_clip", str(tmp_path / "O.####.exr"))
    maya.ui.type("sfumato_trail_model", "embedded_micro")
    job = trail.job()
    assert (job.frames, job.inputs, job.params) == (
        (1001, 1002, 1003, 1004),
        {"track": str(track)},
        {"model": "embedded_micro"},
    )
    still = panel.show("place")
    maya.ui.type("sfumato_place_box", "red ball:0,0,1,1")
    assert (still.job().frames, still.job().params) == ((1,), {"box": "red ball:0,0,1,1"})
    maya.ui.type("sfumato_trail_track", str(tmp_path / "nowhere.json"))
    trail.run()
    assert "cannot be read" in maya.ui.read("sfumato_trail_status")
