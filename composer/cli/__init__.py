"""The command line: one file a verb. Data on stdout, words on stderr; what is heavy is imported inside the verbs."""
