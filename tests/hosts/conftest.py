"""Host tests run without the engine and without a host; fakes/ and parsers/ beside this file are theirs."""

import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE))  # for `from fakes import strict`; nothing here is called nuke or maya
PLUGINS = str(HERE.parents[1] / "plugins")
if PLUGINS not in sys.path:
    sys.path.append(PLUGINS)
