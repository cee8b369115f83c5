"""scikit-learn's 1,797 digits as tensors, in the forms that the scripts beside it take."""

import torch
from sklearn.datasets import load_digits

found = load_digits()
images, targets = torch.tensor(found.images[:, None] / 16).float(), torch.tensor(found.target)
data = torch.utils.data.TensorDataset(images, targets)
batches = torch.utils.data.DataLoader(data, batch_size=64, shuffle=True)
rows = [{"x": image, "labels": target} for image, target in data]
