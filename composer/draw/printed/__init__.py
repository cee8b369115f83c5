"""Figures of a fixed width for papers: all text at 7 pt, at most 22 cm high.

`width` reads the width, `join` draws a convolution with its norm and activation as one box, `words` and `metrics` are
the sizes of print, `columns` wraps a high network, `fitting` chooses the `arrangement` of everything, `svg` draws it.
"""
