"""The Trainer of transformers: the backbone is frozen; what the rules inserted and the classifier learn."""

from digits import rows
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainingArguments

import composer

model = composer.build("gated.yaml")
composer.freeze(model, all_but=["inserted", "head"])
arguments = TrainingArguments("runs/transformers", max_steps=20, label_names=["labels"])
trainer = Trainer(model, arguments, train_dataset=rows, compute_loss_func=lambda *found, **_: cross_entropy(*found))
trainer.train()
