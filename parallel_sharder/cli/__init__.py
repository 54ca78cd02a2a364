"""The command line: what is typed becomes options, what comes back becomes text and an exit status."""
