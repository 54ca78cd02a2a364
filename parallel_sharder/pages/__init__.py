"""Pages: a set and the runs that made it, as one HTML file that needs nothing else: the command `report`."""
