"""A file per format: `write` makes the files, `load` reads them back as a function of tensors."""
