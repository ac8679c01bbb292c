"""Site, show and user settings: the later wins, every mistake is named with its file."""

import pytest

from sfumato_plugins.errors import JobError
from sfumato_plugins.settings import _plain_toml, load_settings

TEXT = """# our studio
python = "/tools/bin/python"  # a comment
models = ["/a", '/b']
require_commercial = true

[farm]
pool = "gpu"
priority = 50
"""


@pytest.fixture
def places(tmp_path):
    site, show = tmp_path / "site.toml", tmp_path / "show" / "sfumato_show.toml"
    user = tmp_path / "home" / "sfumato" / "sfumato.toml"
    for path in (show, user):
        path.parent.mkdir(parents=True)
    environ = {"SFUMATO_SITE": str(site), "XDG_CONFIG_HOME": str(tmp_path / "home")}
    (show.parent / "shot").mkdir()
    return site, show, user, lambda: load_settings(environ, str(show.parent / "shot"))


def test_show_wins_over_site_and_user_over_show(places):
    site, show, user, load = places
    site.write_text('config = "site.ocio"\ndevice = "cpu"\n[farm]\npool = "a"\npriority = 1\n')
    show.write_text('config = "show.ocio"\nshow = "ab"\n[farm]\npool = "b"\n')
    user.write_text('device = "cuda"\n')
    settings = load()
    assert settings.values == {
        "config": "show.ocio",
        "device": "cuda",
        "show": "ab",
        "farm": {"pool": "b", "priority": 1},
    }
    assert settings.origin["config"] == str(show)
    assert settings.files == (str(site), str(show), str(user))


def test_no_file_is_no_setting(places):
    assert places[-1]().values == {}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('pyton = "x"', "did you mean 'python'"),
        ("python = 3", "should be str"),
        ("python = ", "cannot be read"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(places, text, word):
    places[0].write_text(text)
    with pytest.raises(JobError, match=word) as caught:
        places[-1]()
    assert "site.toml" in str(caught.value)


def test_older_hosts_read_the_plain_part_of_toml_the_same():
    with pytest.raises(ValueError, match="line 2"):
        _plain_toml('a = "b"\nc = {d = 1}\n')
    tomllib = pytest.importorskip("tomllib", reason="nothing to compare with before Python 3.11")
    assert _plain_toml(TEXT) == tomllib.loads(TEXT)


def test_the_doctor_names_a_wrong_setting_once_and_looks_at_the_rest(tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the doctor looks at the engine, which is not installed here")
    from sfumato_plugins.doctor import Line, examine

    site = tmp_path / "sfumato_site.toml"
    site.write_text('pyton = "/tools/python"\n')
    monkeypatch.setenv("SFUMATO_SITE", str(site))
    found = examine()
    about = f"{site}: pyton is not a setting; did you mean 'python'?"
    assert [line for line in found if "pyton" in line.found] == [Line("settings", about, False)]
    assert {"colour", "temporary", "nuke"} <= {line.about for line in found if line.well}
