"""Reports: the facts that a conversion and its preview return, and the words for the results of all commands."""
