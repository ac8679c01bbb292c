"""What a newcomer installs: pins that fit, a wheel and an sdist with everything in them, commands that exist."""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tarfile
import tomllib
import zipfile

import pytest
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()


def pins():
    lines = (line.partition("#")[0].strip() for line in (ROOT / "constraints/cpu.txt").read_text().splitlines())
    return dict(line.split("==") for line in lines if line)


def wanted():
    extras = PROJECT["optional-dependencies"].values()
    found = [Requirement(text) for group in (PROJECT["dependencies"], *extras) for text in group]
    return [r for r in found if r.name != "sfumato"]


@pytest.mark.parametrize("requirement", wanted(), ids=str)
def test_every_requirement_is_pinned_at_a_version_it_allows(requirement):
    pinned = {name.lower(): version for name, version in pins().items()}
    assert requirement.specifier.contains(pinned[requirement.name.lower()])


def test_nothing_ties_an_installation_to_one_build_of_torch():
    assert all("+" not in version for version in pins().values())
    assert not any(re.match("nvidia|cuda|triton", name) for name in pins())
    assert all(r.url is None and "+" not in str(r.specifier) for r in wanted())


def run(*command, **more):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The sdist, and the wheel that is built from it; offline."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_the_wheel_holds_code_page_and_host_folders(packages):
    names = zipfile.ZipFile(packages[0]).namelist()
    for end in (
        "sfumato/py.typed",
        "sfumato_plugins/py.typed",
        "sfumato_plugins/page.css",
        "sfumato_plugins/page.js",
        "share/sfumato/nuke/init.py",
        "share/sfumato/maya/sfumato.mod",
        "share/sfumato/plugins/sfumato_plugins/__init__.py",
        "licenses/LICENSE",
    ):
        assert any(name.endswith(end) for name in names), end
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not re.match(r"sfumato-[\w.]+\.(data|dist-info)$", top)} == {
        "sfumato",
        "sfumato_plugins",
    }


def test_the_sdist_holds_all_that_git_holds_for_building_and_testing(packages):
    with tarfile.open(packages[1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    for folder in ("engine", "plugins", "nuke", "maya", "tests", "constraints"):
        files = {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts}
        assert files <= names
    assert {"LICENSE", "README.md", "pyproject.toml", "constraints/cpu.txt", ".ci/run"} <= names


def test_an_installed_wheel_answers_and_names_its_host_folders(packages, tmp_path):
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv" / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", packages[0])
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    sfumato = tmp_path / "venv" / "bin" / "sfumato"
    assert re.fullmatch(r"sfumato [\d.]+\n", run(sfumato, "--version", cwd=tmp_path, env=clean))
    assert run(sfumato, "tools", cwd=tmp_path, env=clean).startswith("matte ")
    for host in ("nuke", "maya"):
        folder = pathlib.Path(run(sfumato, "where", host, cwd=tmp_path, env=clean).removesuffix("\n"))
        assert folder == tmp_path / "venv" / "share" / "sfumato" / host
        assert folder.is_dir()


def test_nukes_init_lets_it_import_the_tools_and_nothing_heavy():
    code = (
        "import runpy, sys; runpy.run_path(sys.argv[1]); import sfumato_plugins; print(sfumato_plugins.TOOLS[0].name)"
    )
    assert run(sys.executable, "-I", "-S", "-c", code, ROOT / "nuke" / "init.py") == "matte\n"


def commands():
    """Every `sfumato ...` line of the README's code blocks, with continued lines joined."""
    for block in re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            for command in line.partition(" #")[0].split("&&"):
                words = shlex.split(command)
                if words and words[0].rpartition("/")[2] == "sfumato":
                    yield words[1:]


@pytest.mark.parametrize("words", list(commands()), ids=shlex.join)
def test_every_command_in_the_readme_exists(words):
    from sfumato_plugins.cli import _parser

    _parser().parse_args(words)


def test_every_file_the_readme_links_to_is_there():
    links = re.findall(r"\]\(([^)#:]+)\)", README) + re.findall(r'src="([^":]+)"', README)
    assert all((ROOT / link).is_file() for link in links)


def test_ci_sets_threads_and_memory_and_asserts_the_cpu_build():
    script = (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    for word in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY=PASSIVE", "GOMP_SPINCOUNT=0", "torch.version.cuda is None"):
        assert word in script
    for word in ("MALLOC_MMAP_THRESHOLD_=1073741824", "MALLOC_TRIM_THRESHOLD_=17179869184"):
        assert word in script


class Variables(dict):
    """Environment variables as a rez package sees them while it is resolved."""

    class Path(list):
        """One that holds several folders."""

    def __getattr__(self, name):
        return self.setdefault(name, self.Path())

    def __setattr__(self, name, value):
        self[name] = value


def test_the_rez_package_is_this_version_and_names_the_folders_of_a_wheel(packages):
    env = Variables()
    package = {"env": env}
    exec((ROOT / "packaging/rez/package.py").read_text(), package)
    package["commands"]()
    assert f"-{package['version']}-" in packages[0].name
    inside = {name.partition(".data/data/")[2].rpartition("/")[0] for name in zipfile.ZipFile(packages[0]).namelist()}
    for variable, host in (("NUKE_PATH", "nuke"), ("MAYA_MODULE_PATH", "maya")):
        assert env[variable] == [f"{{root}}/venv/share/sfumato/{host}"]
        assert f"share/sfumato/{host}" in inside
    assert env["SFUMATO_PYTHON"] == "{root}/venv/bin/python"
