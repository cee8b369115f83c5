"""The other viewers: their files of CBAM-ResNet-50, and their servers."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

OTHERS = ("Model Explorer", "Netron", "TensorBoard", "torchvista", "torchview")
_PACKAGES = {"Model Explorer": "ai-edge-model-explorer", **{name: name.lower() for name in OTHERS[1:]}}

# Runs in the interpreter that has the others: it imports nothing of composer.
_PREPARE = """
import importlib.metadata, json, sys
import torch
from torch.utils.tensorboard import SummaryWriter
from torchview import draw_graph
from torchvista import trace_model
folder = sys.argv[1]
sys.path.insert(0, folder)
from net import CBAMResNet50
model, image = CBAMResNet50().eval(), torch.zeros(1, 3, 224, 224)
torch.export.save(torch.export.export(model, (image,)), f"{folder}/net.pt2")
torch.onnx.export(model, (image,), f"{folder}/net.onnx", dynamo=True)
with SummaryWriter(f"{folder}/board") as writer:
    writer.add_graph(model, image)
drawn = draw_graph(model, input_data=image, expand_nested=True, depth=3).visual_graph
drawn.render(f"{folder}/torchview", format="svg")
trace_model(model, image, export_format="html", export_path=f"{folder}/torchvista.html")
print(json.dumps({name: importlib.metadata.version(name) for name in sys.argv[2:]}))
"""


def prepared(python: str, folder: Path) -> dict[str, str]:
    """Writes what each viewer reads, of a module that was ejected; gives their versions."""
    import composer

    (folder / "net.py").write_text(composer.eject("papers/cbam/resnet50"), encoding="utf-8")
    words = [python, "-c", _PREPARE, str(folder), *_PACKAGES.values()]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: found[package] for name, package in _PACKAGES.items()}


@contextmanager
def serving(python: str, folder: Path) -> Iterator[dict[str, str]]:
    """In this context the viewers that are servers run: name -> address."""
    ports = {name: free_port() for name in OTHERS[:3]}
    model = {"models": [{"url": str(folder / "net.pt2")}]}
    scripts = Path(python).parent
    commands = {
        "Model Explorer": ["model-explorer", str(folder / "net.pt2"), "--no_open_in_browser"],
        "Netron": ["netron", str(folder / "net.onnx")],
        "TensorBoard": ["tensorboard", "--logdir", str(folder / "board")],
    }
    with ExitStack() as stack:
        for name, (program, *words) in commands.items():
            port = ports[name]
            stack.enter_context(running([str(scripts / program), *words, "--port", str(port)], port))
        data = urllib.parse.quote(json.dumps(model))
        yield {
            "Model Explorer": f"http://localhost:{ports['Model Explorer']}/?data={data}",
            "Netron": f"http://localhost:{ports['Netron']}",
            "TensorBoard": f"http://localhost:{ports['TensorBoard']}/#graphs",
            "torchvista": (folder / "torchvista.html").as_uri(),
            "torchview": (folder / "torchview.svg").as_uri(),
        }


@contextmanager
def running(words: list[str], port: int) -> Iterator[None]:
    """In this context a server runs, and answers at its port."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as started:
        try:
            _wait_for(port)
            yield
        finally:
            started.terminate()


def free_port() -> int:
    """A port at which nothing answers."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with socket.socket() as asked:
            if asked.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.3)
    raise TimeoutError(f"nothing answers at port {port}")
