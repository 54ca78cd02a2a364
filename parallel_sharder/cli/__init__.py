"""The command line: it makes options of the typed words, and text and an exit status of the result."""
