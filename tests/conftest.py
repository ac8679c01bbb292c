"""What every test may ask for: the shared data, random numbers of its own, and a machine that is not fought over."""

import contextlib
import os
import pathlib
import tempfile

for name, value in {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "NUMBA_NUM_THREADS": "1",  # numba gives its own number to OpenMP, and so to torch: sums change their order
}.items():
    os.environ.setdefault(name, value)  # before torch: two spinning processes ran 20 times slower

import hypothesis  # noqa: E402
import pytest  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[1]
hypothesis.settings.register_profile("sfumato", deadline=None, max_examples=30, derandomize=True)
hypothesis.settings.load_profile("sfumato")


@pytest.fixture(scope="session", autouse=True)
def folders_of_a_user(tmp_path_factory):
    """Settings, the marker of `sfumato where` and logs go to folders of the tests' own, never to the developer's."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


@pytest.fixture(scope="session")
def data():
    """The folder of real photographs, clips and trap files; its README says what they are."""
    folder = pathlib.Path(os.environ.get("SFUMATO_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}: set SFUMATO_TEST_DATA to a folder with matting/ in it")
    return folder


@pytest.fixture
def seeded():
    """seeded(7) is a torch.Generator; the same number is the same noise."""
    import torch

    return lambda seed=0: torch.Generator().manual_seed(seed)


@pytest.fixture
def powerless():
    """`with powerless():` rights count, also where the tests run as root. Everybody can reach `powerless.folder`."""
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    if not hasattr(os, "geteuid") or (root and not hasattr(os, "setresuid")):
        pytest.skip("there is no other user to become here")

    @contextlib.contextmanager
    def become():
        if root:
            os.setresuid(65534, 65534, 0)
        try:
            yield
        finally:
            if root:
                os.setresuid(0, 0, 0)

    with tempfile.TemporaryDirectory(prefix="sfumato-rights-", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        become.folder = pathlib.Path(folder)
        yield become
        os.chmod(folder, 0o755)
