"""Samples: the forms in which they are stored, their members and sizes, and checks of images and annotations."""
