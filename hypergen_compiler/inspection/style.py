"""The style sheet of the page, and the script that marks lines which belong together."""

from __future__ import annotations

__all__ = ["SCRIPT", "STYLE"]

STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 110rem; padding: 0 1rem; color: #222; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
a { color: #0550ae } .dim, .at { color: #888 } .scroll { overflow-x: auto }
th { text-align: left; font-weight: normal; color: #666; padding-right: 1rem }
ul { list-style: none; padding-left: 1.2rem; margin: 0 } summary { cursor: pointer }
pre { font: 12.5px/1.5 ui-monospace, monospace; overflow-x: auto; background: #f6f8fa; padding: .6rem; margin: .3rem 0 }
.at { display: inline-block; width: 3.2em; user-select: none }
.line:target, details:target > summary { background: #fff3b0 } .there { float: right; margin-left: 1rem }
.keyword { color: #a40e26 } .string { color: #0a5b2b } .number { color: #0550ae }
.comment { color: #6a737d; font-style: italic }
.beside { display: flex; gap: 1rem } .beside > div { flex: 1; min-width: 0; max-height: 92vh; overflow: auto }
@media (max-width: 60rem) {
  .beside { flex-direction: column }
  .beside > div { max-height: 60vh; border-bottom: 1px solid #ddd } .there { float: none; margin-left: 2rem }
}
[data-from], [data-at] { cursor: pointer } .lit { background: #cfe8ff; box-shadow: -.3rem 0 #2f6fb1 }
svg.buffer { width: 100%; max-width: 60rem }
svg.graph { font: 12px ui-monospace, monospace } svg.graph path { fill: none; stroke: #9aa }
.input { fill: #dbeafe } .statement { fill: #eee } .call { fill: #fde7c5 }
.conditioned { fill: #2f6fb1; background: #2f6fb1 } .alike { fill: #8fb9dd; background: #8fb9dd }
.critic { fill: #d49a3a; background: #d49a3a } .kept { fill: #bbb; background: #bbb }
.key { display: inline-block; padding: 0 .5em; border-radius: 3px; color: #fff }
"""

SCRIPT = """
const lines = [...document.querySelectorAll(".line[data-from], .line[data-at]")];
const places = line => (line.dataset.from || line.dataset.at).split(" ");
const belongs = (line, other) => "from" in line.dataset != "from" in other.dataset &&
  places(line).some(place => places(other).includes(place));
let held = null;
function mark(line) {
  for (const lit of document.querySelectorAll(".lit")) lit.classList.remove("lit");
  const found = line ? lines.filter(other => belongs(line, other)) : [];
  if (found.length) for (const lit of [line, ...found]) lit.classList.add("lit");
  return found;
}
const at = event => event.target.closest(".line[data-from], .line[data-at]");
document.addEventListener("mouseover", event => { if (!held) mark(at(event)); });
document.addEventListener("click", event => {
  if (event.target.closest("a, summary")) return;
  const line = at(event), found = mark(line);
  held = found.length ? line : null;
  if (!held) return;
  const column = found[0].closest(".beside > div"), box = column.getBoundingClientRect();
  column.scrollTop += found[0].getBoundingClientRect().top - box.top - box.height / 3;
});
"""
