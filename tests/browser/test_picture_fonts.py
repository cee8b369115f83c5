"""Pictures where none of the fonts is that they are measured for: DejaVu Sans alone, which is much wider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from browser.chromium import ABSENT, executable

FOLDERS = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu-sans-fonts", "/usr/share/fonts/TTF")
TESTS = Path(__file__).parents[1]

# Words that stand on other words, or leave the box that they are in.
OVERLAPS = """() => {
    const found = [];
    for (const group of document.querySelectorAll("svg.cg g")) {
        const words = [...group.children].filter(one => one.tagName === "text");
        const areas = words.map(one => one.getBoundingClientRect());
        areas.forEach((area, at) => {
            for (let other = 0; other < at; other += 1) {
                const across = Math.min(area.right, areas[other].right) - Math.max(area.left, areas[other].left);
                const down = Math.min(area.bottom, areas[other].bottom) - Math.max(area.top, areas[other].top);
                if (across > 0.5 && down > 5) found.push(`${words[other].textContent} | ${words[at].textContent}`);
            }
            const box = [...group.children].find(one => one.matches("rect.box"))?.getBoundingClientRect();
            const inside = box && !words[at].matches(".badge") && !group.closest(".legend");
            if (inside && (area.left < box.left - 1 || area.right > box.right + 1)) found.push(words[at].textContent);
        });
    }
    return found;
}"""

# Run in a process of its own, as one browser that is driven keeps another from starting.
PROGRAM = """
import json, sys
from browser.chromium import executable, started
out = {}
with started(executable(), FONTCONFIG_FILE=sys.argv[1]) as chromium:
    page = chromium.new_page()
    page.set_content("<span style='font:100px Helvetica, Arial, sans-serif'>conv1</span>")
    out["width"] = page.evaluate("document.querySelector('span').getBoundingClientRect().width")
    for file in sys.argv[3:]:
        page.goto(f"file://{file}")
        out[file] = page.evaluate(sys.argv[2])
print(json.dumps(out))
"""


@pytest.fixture
def overlaps(tmp_path):
    """Measures files in a browser that has DejaVu alone."""
    folder = next((one for one in FOLDERS if list(Path(one).glob("DejaVuSans.ttf"))), None)
    if executable() is None or folder is None:
        pytest.skip(ABSENT if executable() is None else "needs DejaVu Sans")
    fonts = tmp_path / "fonts.conf"
    fonts.write_text(f"<fontconfig><dir>{folder}</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>")

    def found(*files):
        command = [sys.executable, "-c", PROGRAM, str(fonts), OVERLAPS, *map(str, files)]
        paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": paths}
        )
        return json.loads(done.stdout)

    return found


def test_words_keep_apart_in_a_wider_font(overlaps, page_of, tmp_path):
    files = [*sorted((TESTS.parent / "examples/pictures").glob("*.svg")), page_of("papers/se/resnet50")]
    files += [page_of("swin_tiny_patch4_window7_224"), page_of("inception_v3")]
    found = overlaps(*files)
    # The font is another: Helvetica would take 267 pixels.
    assert found.pop("width") > 290
    assert {Path(file).name: words for file, words in found.items() if words} == {}
