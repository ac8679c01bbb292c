"""The demos of place and trail, on the smallest model: what they say is what lies there."""

import json
import pathlib

import pytest

from sfumato.io import read_image
from sfumato_plugins.cli import main


@pytest.mark.parametrize("tool", ["place", "trail"])
def test_a_demo_places_better_than_nothing_and_the_second_time_computes_nothing(tool, tmp_path, capsys):
    words = ["demo", tool, "--quick", "--model", "embedded_micro", "--out", str(tmp_path), "--json"]
    assert main([*words, "--progress", "quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["iou"]["with"] > found["iou"]["without"] + 0.2
    assert all(
        pathlib.Path(path).is_file() for path in (found["page"], found["page"].replace(".html", ".contact.sheet.png"))
    )
    picture = read_image(found.get("picture") or found["clip"].replace("####", "1001"))
    assert {"R", "boxes.A"} <= set(picture.channels)
    assert main([*words, "--progress", "quiet"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["computed"], again["iou"]) == (0, found["iou"])
