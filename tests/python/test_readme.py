"""The example in README.md runs as written and prints what the page says."""

import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parents[2] / "README.md"


def test_example_prints_what_the_page_says():
    blocks = re.findall(r"```(python|text)\n(.*?)```", README.read_text(), flags=re.DOTALL)
    (_, code), (_, output) = blocks
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == output, done.stderr
    assert len(code.strip().splitlines()) <= 20
