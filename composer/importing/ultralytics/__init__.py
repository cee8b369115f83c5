"""Model files of ultralytics (YOLOv3 to YOLO26) -> specs: rows `[from, repeats, module, args]`, one node for each."""

from __future__ import annotations

from composer.importing.ultralytics.reader import import_model

__all__ = ["import_model"]
