"""Monitors: how the inside tells people what is going on; one file each, and all answer to `monitor.Monitor`."""
