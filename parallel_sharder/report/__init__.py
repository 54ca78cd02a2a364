"""Reports: what the commands return to whoever called them, as facts, and the words that say it to people."""
