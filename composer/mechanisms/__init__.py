"""Attention mechanisms: a room for each group, a file for each mechanism. Importing this package registers them all."""

import importlib
import pkgutil
import sys

for _file in pkgutil.walk_packages(__path__, f"{__name__}."):
    _module = importlib.import_module(_file.name)
    # Pickles from before there were rooms know the files by these names.
    sys.modules.setdefault(f"{__name__}.{_file.name.rpartition('.')[2]}", _module)
