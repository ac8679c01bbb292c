"""sfumato as a rez package: `rez build --install` here. Needs a wheelhouse if the build machine has no network:

    pip wheel -w WHEELHOUSE -c constraints/cpu.txt .        # where there is one, from the checkout
    PIP_NO_INDEX=1 PIP_FIND_LINKS=WHEELHOUSE rez build --install

The package holds a virtual environment of its own, so that two versions, and the hosts' own Pythons, never meet.
"""

name = "sfumato"
version = "0.1.0"
description = "Training-free mattes and other machine-learning tools for visual-effects artists"
requires = ["python-3.11+<3.14"]
build_command = (
    'if [ -n "$REZ_BUILD_INSTALL" ]; then python -m venv --clear "$REZ_BUILD_INSTALL_PATH/venv" '
    '&& "$REZ_BUILD_INSTALL_PATH/venv/bin/pip" install -c "$REZ_BUILD_SOURCE_PATH/../../constraints/cpu.txt" '
    '"$REZ_BUILD_SOURCE_PATH/../.."; fi'
)


def commands():
    env.PATH.append("{root}/venv/bin")  # noqa: F821 rez provides it
    env.SFUMATO_PYTHON = "{root}/venv/bin/python"  # noqa: F821
    env.NUKE_PATH.append("{root}/venv/share/sfumato/nuke")  # noqa: F821
    env.MAYA_MODULE_PATH.append("{root}/venv/share/sfumato/maya")  # noqa: F821
