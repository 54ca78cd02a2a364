"""Monitors: they show people how a run is going. Each has a module, and all have the interface `monitor.Monitor`."""
