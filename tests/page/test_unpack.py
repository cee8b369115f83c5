"""The script unpacks what Python packs."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from composer.html import document, packed

UNPACK = Path(__file__).parents[2] / "composer/page/client/src/unpack.js"
SCRIPT = f"""
import {{ unpacked }} from {json.dumps(UNPACK.as_uri())};
import {{ readFileSync }} from "node:fs";
const asked = JSON.parse(readFileSync(0, "utf8"));
const told = await Promise.all(asked.map((one) => unpacked(one).then((text) => [text], () => "failed")));
process.stdout.write(JSON.stringify(told));
"""


def unpacked(*given):
    """What the script makes of packed bytes: a text in a list, or `failed`."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    words = json.dumps([base64.b64encode(one).decode() for one in given])
    command = [node, "--input-type=module", "-e", SCRIPT]
    done = subprocess.run(command, input=words, capture_output=True, text=True, check=True, encoding="utf-8")
    return json.loads(done.stdout)


def test_what_python_packs_is_unpacked():
    texts = ["", "a", "x" * 100_000, "größer → 3×224×224 \N{CAT}"]
    assert unpacked(*(base64.b64decode(packed(text)) for text in texts)) == [[text] for text in texts]


def test_what_is_cut_off_or_damaged_is_an_error():
    whole = base64.b64decode(packed("the data of a page, the data of a page" * 20))
    assert unpacked(whole[:-4]) == ["failed"]
    assert unpacked(b"\x05" + b"\xff" * 40) == ["failed"]


def test_a_page_holds_its_data_in_letters_that_end_nothing():
    data = {"</script>": "<!-- \ud800 \u2028 & é"}
    page = document("page", "", styles=[], data=data)
    inside = page.partition('id="data">')[2].partition("<")[0]
    ((text,),) = unpacked(base64.b64decode(inside))
    assert json.loads(text) == {"</script>": "<!-- ? \u2028 & é"}
