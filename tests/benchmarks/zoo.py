"""Composing and building every backbone that timm has too, beside timm. Run it: python -m tests.benchmarks.zoo"""

from __future__ import annotations

import argparse
import statistics
from functools import partial

import timm

import composer
from tests.benchmarks.engine import paired


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("pattern", nargs="?", default="*")
    given = parser.parse_args()
    names = [name for name in composer.list_backbones(given.pattern) if timm.is_model(name)]
    composed, built = [], []
    print(f"{'ours / timm.create_model':<40}{'composed':>10}{'built':>10}")
    for name in names:
        theirs = partial(timm.create_model, name)
        *_, graph = paired(partial(composer.graph, name), theirs, given.runs)
        *_, build = paired(partial(composer.build, name), theirs, given.runs)
        composed.append(graph)
        built.append(build)
        print(f"{name:<40}{graph:>10.2f}{build:>10.2f}", flush=True)
    for word, of in (("geometric mean", statistics.geometric_mean), ("largest", max)):
        print(f"{f'{word} of {len(names)}':<40}{of(composed):>10.2f}{of(built):>10.2f}")


if __name__ == "__main__":
    main()
