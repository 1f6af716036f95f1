"""The command line: the verbs, their options, and shell completion."""
