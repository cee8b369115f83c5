"""The command line, a file per verb. Data goes to stdout, messages to stderr; verbs import slow modules inside."""
