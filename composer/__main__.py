"""The command `composer`, and `python -m composer`."""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line. While it is being imported, an interruption ends the process at once: nothing is open."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
    from composer.cli.app import main

    main()


def _interrupted(*_: object) -> None:
    # An exception would end in whatever module is being imported, and some of them catch everything.
    os.write(2, b"interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
