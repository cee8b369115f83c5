"""fastai's Learner, one cycle, with a learning rate for what the rules inserted and one for the rest."""

from digits import data
from fastai.vision.all import CrossEntropyLossFlat, DataLoader, DataLoaders, Learner

import composer

model = composer.build("gated.yaml")
inserted, loader = set(composer.parameters_at(model, "inserted")), DataLoader(data, bs=64, shuffle=True)
learner = Learner(
    *(DataLoaders(loader, loader), model, CrossEntropyLossFlat()),
    splitter=lambda net: [[p for name, p in net.named_parameters() if (name in inserted) == i] for i in (False, True)],
)
learner.fit_one_cycle(1, slice(1e-3, 1e-2))
