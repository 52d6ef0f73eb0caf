"""The studio without its extra: the shelf is still there, and what serves names the extra."""

import subprocess
import sys

CODE = """
import sys
sys.modules["uvicorn"] = None
import quincunx.studio as studio
from quincunx.errors import MissingExtra
studio.Shelf
try:
    studio.serve
except MissingExtra as error:
    print(error)
"""


def test_without_uvicorn_the_extra_is_named():
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert "pip install 'quincunx[studio]'" in said.stdout
