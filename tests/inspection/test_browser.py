"""The page in headless Chromium: it is drawn within its window, and lines that belong together are marked."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GENERATED = Path(__file__).parent.parent.parent / "generated"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
QUIET = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --hide-scrollbars""".split()

pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs Chromium")

# Points at a line, then writes what the page marked, and how far it reaches beyond its window.
PROBE = """
<script>
const all = side => [...document.querySelectorAll(`.line[data-${side}]`)];
const seen = [];
for (const side of ["from", "at"]) {
  const line = all(side).find(found => found.textContent.includes("log_variance.exp()"));
  line.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
  seen.push(...[...document.querySelectorAll(".lit")].map(lit => lit.textContent.trim()));
}
const wide = document.documentElement.scrollWidth - window.innerWidth;
const found = document.createElement("pre");
found.id = "probe";
found.textContent = [wide, ...seen].join("\\n");
document.body.append(found);
</script>
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("page") / "page.html"
    command = [sys.executable, "-m", "hypergen_compiler", "inspect", str(GENERATED / "conv_vae"), "--html", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    return file


def browse(page: Path, folder: Path, *options: str) -> str:
    command = [BROWSER, *QUIET, f"--user-data-dir={folder / 'profile'}", *options, page.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize("width", [1600, 500])
def test_pointing_at_a_line_marks_those_that_belong_to_it(page: Path, tmp_path: Path, width: int):
    probed = tmp_path / "probed.html"
    probed.write_text(page.read_text().replace("</body>", PROBE + "</body>"))
    shown = browse(probed, tmp_path, f"--window-size={width},900", "--dump-dom")
    wide, *marked = re.search(r'<pre id="probe">(.*?)</pre>', shown, re.DOTALL)[1].splitlines()
    assert int(wide) <= 0, "the page is wider than its window"
    assert len(marked) == 4 and all("divergence = -0.5" in line for line in marked)


def test_the_page_is_drawn(page: Path, tmp_path: Path):
    browse(page, tmp_path, f"--screenshot={tmp_path / 'page.png'}", "--window-size=1200,900")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
