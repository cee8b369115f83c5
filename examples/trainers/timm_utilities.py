"""timm's optimizer, loss, scaler and averaged weights, with composer's groups."""

from digits import batches
from timm import loss, optim, utils

import composer

model = composer.build("gated.yaml")
optimizer = optim.create_optimizer_v2(composer.groups(model, lr=1e-3, weight_decay=0.05), "adamw", lr=1e-3)
criterion, average, scaler = loss.LabelSmoothingCrossEntropy(), utils.ModelEmaV3(model), utils.NativeScaler("cpu")
for images, targets in batches:
    scaler(criterion(model(images), targets), optimizer)
    optimizer.zero_grad()
    average.update(model)
