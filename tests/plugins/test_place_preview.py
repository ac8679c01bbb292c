"""Clips that play anywhere: a GIF without any program, an MP4 where ffmpeg is found, in the colours that were meant."""

import json
import shutil
import subprocess

import pytest
import torch

from sfumato.errors import RequestError
from sfumato_plugins.placing.preview import write_clips

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def ramp(frames, height=63, width=65):
    """Frames of a smooth ramp that turns from red to blue; odd sides, which MP4 does not have."""
    across = torch.linspace(0.1, 0.9, width).expand(height, width)
    return [torch.stack([across * (1 - t), across * 0.5, across * t]) for t in torch.linspace(0, 1, frames).tolist()]


def test_without_ffmpeg_there_is_a_gif_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert write_clips(str(tmp_path / "c"), ramp(3), 12) == [str(tmp_path / "c.gif")]
    assert (tmp_path / "c.gif").read_bytes()[:6] == b"GIF89a"


@needs_ffmpeg
def test_an_mp4_has_every_frame_at_its_rate_and_its_colours_within_two_levels(tmp_path):
    frames = ramp(9)
    _, movie = write_clips(str(tmp_path / "c"), frames, 24)
    asked = "stream=width,height,nb_frames,r_frame_rate,color_space,color_transfer,color_range"
    probe = ["ffprobe", "-v", "error", "-show_entries", asked, "-of", "json", movie]
    (stream,) = json.loads(subprocess.run(probe, capture_output=True, check=True).stdout)["streams"]
    assert (stream["width"], stream["height"], stream["nb_frames"], stream["r_frame_rate"]) == (66, 64, "9", "24/1")
    assert (stream["color_space"], stream["color_transfer"], stream["color_range"]) == ("bt709", "iec61966-2-1", "tv")
    back = ["ffmpeg", "-v", "error", "-i", movie, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(back, capture_output=True, check=True).stdout
    seen = torch.frombuffer(bytearray(raw), dtype=torch.uint8).reshape(9, 64, 66, 3)[:, :63, :65].permute(0, 3, 1, 2)
    assert (seen - 255 * torch.stack(frames)).abs().mean() < 2


@needs_ffmpeg
def test_an_ffmpeg_that_fails_is_named_and_no_half_a_movie_is_left(tmp_path):
    with pytest.raises(RequestError, match="ffmpeg made no MP4"):
        write_clips(str(tmp_path / "c"), ramp(2), -1)
    assert not (tmp_path / "c.mp4").exists()
