"""A job becomes stages of tasks: every frame once, what others start from first, nothing one task that need not be."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as some

import sfumato_plugins
from sfumato_plugins.farm.plan import Stage, command, even, stages, title, uncut, waits_for
from sfumato_plugins.frames import parse_frames
from sfumato_plugins.job import Job

FRAMES = some.lists(some.integers(-50, 200), min_size=1, max_size=60, unique=True).map(sorted)


def job(frames, quality="standard", **more):
    frames = parse_frames(frames) if isinstance(frames, str) else tuple(frames)
    files = {"inputs": {"plate": "p.####.exr", "trimap": "t.####.exr"}, "outputs": {"matte": "M.####.exr"}}
    return Job("matte", frames, **{**files, "params": {"quality": quality}, "base": "/nowhere", **more})


@given(FRAMES, some.sampled_from(["preview", "standard", "final"]), some.integers(1, 20))
def test_every_frame_is_in_one_task(frames, quality, chunk):
    found = [frame for stage in stages(job(frames, quality), chunk) for task in stage.tasks for frame in task]
    assert sorted(found) == frames


@given(FRAMES, some.sampled_from(["standard", "final"]))
def test_a_stage_comes_after_those_it_waits_for(frames, quality):
    seen = set()
    for stage in stages(job(frames, quality)):
        assert seen.issuperset(stage.after)
        seen.add(stage.name)


def test_a_shot_is_keyframes_side_by_side_and_then_what_lies_between():
    keyframes, between = stages(job("1001-1017"))
    assert keyframes == Stage("keyframes", ((1001,), (1009,), (1017,)))
    assert between == Stage("between", (tuple(range(1002, 1009)), tuple(range(1010, 1017))), ("keyframes",))


def test_preview_frames_stand_alone_in_even_runs():
    (frames,) = stages(job("1001-1010,1020", "preview"), 4)
    assert frames.tasks == ((1001, 1002, 1003, 1004), (1005, 1006, 1007, 1008), (1009, 1010, 1020))
    assert frames.apart


def test_one_frame_is_one_task_at_any_quality():
    assert [stage.tasks for stage in stages(job("7", "final"))] == [((7,),)]


def test_every_view_has_its_own_stages():
    found = stages(job("1-9", inputs={"plate": "p.%V.####.exr", "trimap": "t.####.exr"}, views=("left", "right")))
    assert [(s.name, s.view, s.after) for s in found] == [
        ("keyframes left", "left", ()),
        ("between left", "left", ("keyframes left",)),
        ("keyframes right", "right", ()),
        ("between right", "right", ("keyframes right",)),
    ]


def test_context_that_is_read_and_not_written_is_no_task():
    found = stages(job("1-8", context=4))
    assert sorted(f for stage in found for task in stage.tasks for f in task) == list(range(1, 9))


@given(some.integers(0, 100), some.integers(1, 30))
def test_runs_are_even(number, most):
    runs = even(range(number), most)
    assert [f for run in runs for f in run] == list(range(number))
    assert not runs or max(map(len, runs)) - min(map(len, runs)) <= 1
    assert all(len(run) <= most for run in runs)
    assert len(runs) == -(-number // most)


def test_a_gap_waits_for_the_keyframes_on_its_two_sides_only():
    plan = stages(job("1001-1033"))
    assert waits_for(plan[1], plan[1].tasks[1], plan[:1]) == (("keyframes", (1009,)), ("keyframes", (1017,)))


def test_what_cannot_be_cut_says_so_with_the_hours(monkeypatch):
    matte = sfumato_plugins.tool("matte")
    whole = dataclasses.replace(matte, chunks=lambda j: (j.written,), keys=lambda j: frozenset(), minutes=lambda j: 2.0)
    assert uncut(job("1001-1240")) == ""
    monkeypatch.setattr(sfumato_plugins, "TOOLS", (whole,))
    assert uncut(job("1001-1240")) == "matte cannot cut this job: its 240 frames are one task, about 8.0 h"
    assert uncut(job("7")) == ""


def test_a_negative_frame_is_no_option_of_the_command_line():
    pytest.importorskip("sfumato", reason="the command line says the engine's version, and there is no engine here")
    from sfumato_plugins.cli import _parser

    args = _parser().parse_args(command("job.json", "-5--1", "left"))
    assert (args.frames, args.view) == ("-5--1", "left")


@pytest.mark.parametrize(
    ("names", "path", "said"),
    [
        ({}, "/shows/ab_010.job.json", "sfumato matte ab_010"),
        ({"show": "ab", "shot": "010"}, "/shows/job.json", "sfumato matte ab 010"),
    ],
)
def test_a_farm_calls_a_job_by_its_shot(names, path, said):
    assert title(job("1", names=names), path) == said
