"""Write the kept files anew: `python tests/compile/kept/make.py`. Only where old files are meant to be given up."""

from __future__ import annotations

import os
from pathlib import Path

import torch

import composer
from composer.artefacts import write

FOLDER = Path(__file__).parent

if __name__ == "__main__":
    os.chdir(FOLDER)
    torch.manual_seed(0)
    model = composer.build("network.yaml")
    with torch.no_grad():
        model(torch.randn(8, 3, 16, 16))
        for name, parameter in model.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.5)
    model.eval()
    write(model, FOLDER, force=True)
    (FOLDER / "kept.graph.json").unlink()
    model.head = torch.nn.Linear(8, 3)
    x = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        torch.save({"input": x, "features": model.forward_features(x), "output": model(x)}, FOLDER / "values.pt")
    torch.save(model, FOLDER / "edited.pt")
