from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hypergen_compiler.cli import app
from hypergen_compiler.inspection.functions import functions
from hypergen_compiler.inspection.graph import layered
from hypergen_compiler.inspection.highlight import highlighted
from hypergen_compiler.inspection.modules import module_tree
from hypergen_compiler.inspection.page import inspection_page
from hypergen_compiler.inspection.sources import Behind

GENERATED = Path(__file__).parent.parent.parent / "generated"
VOID = {"meta", "br", "img", "input", "link", "path", "rect"}

MODEL = '''
def block(w: Block, x: Tensor) -> Tensor:
    """[n, 4] -> [n, 4]  (net.py:7)"""
    return x + F.relu(F.linear(x, w.weight))


def loss(w: Weights, state: State, x: Tensor, training: bool = False) -> Tensor:
    """[n, 4] -> []  (net.py:20)"""
    h = x * 2
    for part in w.blocks:
        h = block(part, h)
    return (h - x).square().mean()
'''


class Page(HTMLParser):
    """What a browser would find: anchors, links, and tags that are opened and not closed."""

    def __init__(self, text: str):
        super().__init__()
        self.anchors: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.anchors += [given["id"]] if "id" in given else []
        self.links += [given["href"]] if "href" in given else []
        self.sources += [value for name, value in attributes if name in ("src", "data", "action", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


@pytest.fixture(scope="module", params=["conv_vae", "coupling_flow", "small_gpt"])
def page(request, tmp_path_factory) -> str:
    """Written by the command, in a process of its own, as it imports the model."""
    file = tmp_path_factory.mktemp("page") / "page.html"
    command = [
        sys.executable,
        "-m",
        "hypergen_compiler",
        "inspect",
        str(GENERATED / request.param),
        "--html",
        str(file),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return file.read_text()


def test_every_link_leads_to_one_place_on_the_page(page: str):
    found = Page(page)
    assert not found.open
    assert len(set(found.anchors)) == len(found.anchors)
    assert found.links and {link for link in found.links if link.removeprefix("#") not in found.anchors} == set()


def test_nothing_is_fetched(page: str):
    found = Page(page)
    assert not found.sources
    assert all(link.startswith("#") for link in found.links)
    assert "<link" not in page and "@import" not in page and "url(" not in page
    assert page.count("<script") == page.count("<script>\nconst lines") == 1


def test_every_emitted_function_leads_to_the_users_and_back(page: str):
    links = Page(page).links
    there = [link for link in links if link.startswith("#user-")]
    back = [link for link in links if link.startswith("#model.py-")]
    assert there and {link.rpartition("-")[0] for link in there} <= {
        "#user-conv_vae.py",
        "#user-flow.py",
        "#user-gpt.py",
    }
    assert len(back) >= len(there)


def test_every_statement_knows_lines_that_are_shown(page: str):
    """Those of torch's own functions, such as of a batch normalisation, have none of the user's."""
    statements = re.findall(r'data-from="([^"]+)"', page)
    shown = set(re.findall(r'data-at="([^"]+)"', page))
    assert len(statements) > 10
    assert all(place in shown for places in statements for place in places.split())


def test_the_page_shows_every_tensor_and_the_cost(page: str):
    name = page.partition("<title>")[2].partition(":")[0]
    manifest = json.loads((GENERATED / name / "hypergen.json").read_text())
    assert f"{manifest['plan']['parameters']:,}" in page
    assert all(f"<title>{slot['name']} " in page for slot in manifest["layout"]["slots"] if 0 not in slot["shape"])
    assert page.count('<svg class="graph"') >= len(manifest["entries"])


def test_a_model_that_cannot_be_rebuilt_leaves_its_source_out():
    manifest = json.loads((GENERATED / "conv_vae" / "hypergen.json").read_text())
    found = Page(inspection_page(manifest, {"model.py": MODEL}, Behind()))
    assert not [link for link in found.links if link.startswith("#user-")]
    assert all(link.removeprefix("#") in found.anchors for link in found.links if link != "#model.py-encode")


def test_text_of_a_model_is_no_markup():
    manifest = json.loads((GENERATED / "conv_vae" / "hypergen.json").read_text())
    text = 'def encode(x: Tensor):\n    """<script>alert(1)</script>"""\n    return "<u>&"\n'
    page = inspection_page({**manifest, "model": "<i>Model</i>"}, {"model.py": text}, Behind())
    assert "<script>" not in page and "<u>&" not in page and "<i>Model" not in page


def test_functions_are_read_with_their_flow():
    found = functions(MODEL)
    assert found["loss"].calls == ("block",)
    assert found["loss"].origin == ("net.py", 20)
    assert found["loss"].shapes == "[n, 4] -> []"
    assert functions("def f(:") == {}


def test_a_statement_stands_below_what_it_reads():
    boxes = layered(functions(MODEL)["loss"])
    assert [box.text for box in boxes] == [
        "x",
        "h = x * 2",
        "for part in w.blocks:",
        "h = block(part, h)",
        "return (h - x).square().mean()",
    ]
    assert [box.layer for box in boxes] == [0, 1, 1, 2, 3]
    assert boxes[3].call == "block" and boxes[3].before == (1, 2) and boxes[4].before == (0, 3)


def test_highlighting_keeps_every_character():
    assert highlighted('if x:  # "a"\n    y = """b\n<c>"""')[0] == (
        '<span class="keyword">if</span> x:  <span class="comment"># &quot;a&quot;</span>'
    )
    assert highlighted("x = (\n") == ["x = ("]


def test_modules_nest_as_their_names_do():
    slots = [
        {"name": "stem.weight", "shape": [2, 3], "offset": 0, "trained": True, "conditioned": True},
        {"name": "stem.norm.bias", "shape": [2], "offset": 16, "trained": False, "conditioned": False},
    ]
    tree = module_tree("Net", {"slots": slots, "size": 32})
    assert tree.weights == 8 and tree.children["stem"].weights == 8
    assert tree.children["stem"].children["norm"].kinds == {"kept as it is"}


def test_the_terminal_shows_modules_and_flow():
    shown = CliRunner().invoke(app, ["inspect", str(GENERATED / "conv_vae")]).output
    assert "data flow" in shown and "residual_block  [n, 16, 4, 4] -> [n, 16, 4, 4]  conv_vae.py:24" in shown
    assert "stem  " in shown and "for each dataset" in shown


def test_a_page_that_cannot_be_written_is_refused(tmp_path: Path):
    done = CliRunner().invoke(
        app, ["inspect", str(GENERATED / "conv_vae"), "--html", str(tmp_path / "no" / "page.html")]
    )
    assert done.exit_code == 2 and "HG501" in done.output
