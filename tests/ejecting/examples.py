"""Writes the files under examples/ejected anew: `python -m tests.ejecting.examples`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import composer

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples/ejected"
# Name of a file -> what it is made from, as a user at the root of the checkout writes it.
SOURCES = {
    "cbam_resnet50": "papers/cbam/resnet50",
    "attention_unet": "segmentation/attention_unet",
    **{name: f"examples/ejected/{name}.yaml" for name in ("convnext_eca", "mobilenetv3_coord", "vit_gated")},
}


def files() -> Iterator[tuple[Path, str]]:
    """Each file, and the text that it should have."""
    for name, source in SOURCES.items():
        path = ROOT / source
        graph = composer.compose(path if path.suffix == ".yaml" else source)
        yield FOLDER / f"{name}.py", written(graph, source)


def written(graph: composer.Graph, source: str) -> str:
    """The text of an ejected file that names this source."""
    from composer.ejecting import eject

    return eject(graph, source)


if __name__ == "__main__":
    for path, text in files():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}: {len(text.splitlines())} lines")
