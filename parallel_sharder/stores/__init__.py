"""Stores: where finished files are and go, and how a file is written so that it is whole or not there."""
