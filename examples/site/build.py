"""Builds the site: python examples/site/build.py -o FOLDER, then open FOLDER/index.html. Needs the extra `docs`.

It is made of the README, the tutorials, the guides and what the code says of itself. It asks for nothing
from any network, and reads from a disk as from a server.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import commands
import entries
import language
import networks
import prose
from pages import Site


def build(only: list[str] | None = None) -> Site:
    """The whole site.

    only  the networks that get a page; by default all of the zoo
    """
    site = Site()
    site.add(prose.pages(site))
    site.add(entries.mechanisms(site))
    site.add(entries.layers())
    site.add(networks.backbones(site, only))
    site.add(language.pages())
    site.add(commands.pages())
    return site


def main() -> None:
    """Write the site into a folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True, help="a folder that is not there yet")
    parser.add_argument("--networks", nargs="*", metavar="NAME", help="only these of the zoo's networks")
    given = parser.parse_args()
    if given.output.exists() and os.listdir(given.output):
        parser.error(f"{given.output} holds something already: name another folder, or remove it")
    site = build(given.networks)
    site.write(given.output)
    print(f"{len(site.pages)} pages: {given.output / 'index.html'}")


if __name__ == "__main__":
    main()
