"""Sites of a recording: blocks, stages, branches and the rest, recognised or shipped."""
