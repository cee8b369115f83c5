"""What editors and the preview ask of a spec while it is being written: its text need not be saved, or sound.

`reading` composes a text; `inlays`, `hover`, `completion`, `definition` and `fixes` answer for places of it. None of
them knows of a protocol: `lsp` speaks to editors, `preview` to browsers.
"""
