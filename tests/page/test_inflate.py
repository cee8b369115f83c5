"""The script unpacks what zlib packs, however it was packed."""

from __future__ import annotations

import base64
import json
import random
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from composer.html import document

INFLATE = Path(__file__).parents[2] / "composer/page/client/src/inflate.js"
SCRIPT = f"""
import {{ unpacked }} from {json.dumps(INFLATE.as_uri())};
import {{ readFileSync }} from "node:fs";
const told = JSON.parse(readFileSync(0, "utf8")).map((one) => {{
    try {{ return [unpacked(one)]; }} catch (error) {{ return error.message; }}
}});
process.stdout.write(JSON.stringify(told));
"""


def unpacked(*packed):
    """What the script makes of packed bytes: a text in a list, or the message of an error."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    words = json.dumps([base64.b64encode(one).decode() for one in packed])
    command = [node, "--input-type=module", "-e", SCRIPT]
    done = subprocess.run(command, input=words, capture_output=True, text=True, check=True, encoding="utf-8")
    return json.loads(done.stdout)


def pack(text, level=9, strategy=zlib.Z_DEFAULT_STRATEGY):
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS, 9, strategy)
    return packer.compress(text.encode()) + packer.flush()


def test_every_kind_of_block():
    letters = random.Random(0)
    noise = "".join(chr(letters.randrange(32, 0x2FFF)) for _ in range(70_000))
    texts = ["", "a", "abcabcabcabd", "x" * 100_000, "größer → 3×224×224 \N{CAT}", noise, noise[:900] * 40]
    ways = [(0, zlib.Z_DEFAULT_STRATEGY), (1, zlib.Z_FIXED), (6, zlib.Z_HUFFMAN_ONLY), (9, zlib.Z_DEFAULT_STRATEGY)]
    cases = [(text, way) for text in texts for way in ways]
    assert unpacked(*(pack(text, *way) for text, way in cases)) == [[text] for text, _ in cases]


def test_what_is_cut_off_or_damaged_is_told():
    whole = pack("the data of a page, the data of a page" * 20)
    assert unpacked(whole[:-4]) == ["the data of this page is cut off"]
    assert unpacked(b"\x05" + b"\xff" * 40) == ["the data of this page is damaged"]


def test_a_page_holds_its_data_in_letters_that_end_nothing():
    data = {"</script>": "<!-- \ud800 \u2028 & é"}
    page = document("page", "", styles=[], data=data)
    packed = page.partition('id="data">')[2].partition("<")[0]
    ((text,),) = unpacked(base64.b64decode(packed))
    assert json.loads(text) == {"</script>": "<!-- ? \u2028 & é"}
