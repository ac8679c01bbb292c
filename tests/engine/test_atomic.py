"""A file appears whole under its name, or not at all: killed, refused, full disk, shared folders."""

import os
import re
import resource
import signal
import subprocess
import sys

import pytest
import torch

from sfumato.atomic import remove_leftovers, replacing, write_bytes
from sfumato.errors import RequestError
from sfumato.io import read_image, write_image
from sfumato.plate import Plate, Window

posix = pytest.mark.skipif(sys.platform == "win32", reason="umask, setgid and SIGKILL are POSIX")


def noise(size=64):
    window = Window(0, 0, size, size)
    pixels = torch.rand(4, size, size, generator=torch.Generator().manual_seed(0))
    return Plate(pixels, tuple("RGBA"), None, window, window)


@pytest.mark.parametrize("pattern", [r"M\.\d{4}\.exr", r"M\..*\.exr", r"M\.1001.*", r".*\.exr"])
def test_the_temporary_name_matches_no_sequence_pattern(tmp_path, pattern):
    with replacing(tmp_path / "M.1001.exr") as part:
        part.write_bytes(b"x")
        assert not re.fullmatch(pattern, part.name)
        assert not list(tmp_path.glob("M*"))
        assert not list(tmp_path.glob("*.exr"))
    assert [p.name for p in tmp_path.iterdir()] == ["M.1001.exr"]


def test_a_writer_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    write_bytes(tmp_path / "a.json", b"old")

    def fail_inside():
        with replacing(tmp_path / "a.json") as part:
            part.write_bytes(b"new, but")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_inside()
    assert (tmp_path / "a.json").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


@posix
@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_a_finished_file_follows_the_umask(tmp_path, umask):
    before = os.umask(umask)
    try:
        write_image(tmp_path / "a.exr", noise())
    finally:
        os.umask(before)
    assert (tmp_path / "a.exr").stat().st_mode & 0o777 == 0o666 & ~umask


@posix
def test_a_finished_file_belongs_to_the_group_of_a_setgid_folder(tmp_path):
    others = [12345] if os.geteuid() == 0 else [group for group in os.getgroups() if group != os.getegid()]
    if not others:
        pytest.skip("this user is in one group only")
    os.chown(tmp_path, -1, others[0])
    tmp_path.chmod(0o2775)
    write_image(tmp_path / "a.exr", noise())
    assert (tmp_path / "a.exr").stat().st_gid == others[0]


@posix
def test_a_full_disk_is_a_sentence_and_the_old_file_stays(tmp_path):
    write_image(tmp_path / "a.exr", noise())
    old = (tmp_path / "a.exr").read_bytes()
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))  # no file may grow past it: as if the disk were full
    try:
        with pytest.raises(RequestError, match="cannot be written") as refused:
            write_image(tmp_path / "a.exr", noise(128))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "room in" in refused.value.hint
    assert ".part" not in refused.value.message
    assert [p.name for p in tmp_path.iterdir()] == ["a.exr"]
    assert (tmp_path / "a.exr").read_bytes() == old


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(RequestError, match="cannot be written") as refused:
        write_image(tmp_path / "no" / "a.exr", noise())
    assert str(tmp_path / "no") in refused.value.hint


@posix
def test_a_file_being_written_is_no_leftover(tmp_path):
    with replacing(tmp_path / "a.exr") as part:
        part.write_bytes(b"half of it")
        assert remove_leftovers(tmp_path / "a.exr") == 0
        with replacing(tmp_path / "a.exr") as other:  # another task, same frame: both end, the last one stays
            other.write_bytes(b"theirs")
        assert part.exists()
        part.write_bytes(b"ours")
    assert (tmp_path / "a.exr").read_bytes() == b"ours"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_leftover_of_another_file_is_left_to_its_own_writer(tmp_path):
    theirs = tmp_path / ".ab.exr.0123456789ab.part"
    theirs.touch()
    write_bytes(tmp_path / "a", b"x")
    write_bytes(tmp_path / "b.exr", b"x")
    assert theirs.exists()
    assert remove_leftovers(tmp_path / "ab.exr") == 1


KILLED = """
import os, random, signal, sys, time
import torch
from sfumato.io import write_image
from sfumato.plate import Plate, Window
folder, count = sys.argv[1], int(sys.argv[2])
window = Window(0, 0, 400, 400)
pixels = torch.rand(4, 400, 400, generator=torch.Generator().manual_seed(0))
luck = random.Random(5)
for attempt in range(count):
    child = os.fork()
    if child == 0:
        for frame in range(1001, 1100):
            name = f"{folder}/M.{attempt:02d}{frame}.exr"
            write_image(name, Plate(pixels, tuple("RGBA"), None, window, window), compression="zips")
        os._exit(0)
    time.sleep(luck.uniform(0.03, 0.35))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@posix
def test_a_writer_killed_at_any_moment_never_shows_a_part_of_a_file(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "20"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pixels = torch.rand(4, 400, 400, generator=torch.Generator().manual_seed(0))
    left = sorted(tmp_path.glob(".M.*.part"))
    assert len(left) >= 10, "too few were killed while writing to prove anything"
    for path in tmp_path.glob("M.*.exr"):
        assert torch.equal(read_image(path).pixels, pixels), path.name
    for part in left:  # the same frame again: it appears, and the leftover goes
        final = tmp_path / part.name.removeprefix(".").rsplit(".", 2)[0]
        write_image(final, noise())
        assert final.exists()
    assert not list(tmp_path.glob(".*"))
