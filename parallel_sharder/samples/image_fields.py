"""Image fields: which field an image's ending means, and which format a field's images have.

For ImageNet all images are in the field jpg. In class folders and tables the ending decides, so that a reader which
decodes by the field's name decodes what it finds. This module reads no image.
"""

from __future__ import annotations

FIELDS = {
    ".jpg": "jpg", ".jpeg": "jpg", ".png": "png", ".webp": "webp", ".gif": "gif", ".bmp": "bmp", ".tif": "tif",
    ".tiff": "tif", ".avif": "avif", ".heic": "heic", ".heif": "heic", ".jp2": "jp2", ".ppm": "ppm",
}  # fmt: skip
"""The field of each ending of images, which is in lower case."""

FORMATS = {
    "jpg": "JPEG", "png": "PNG", "webp": "WebP", "gif": "GIF", "bmp": "BMP", "tif": "TIFF", "avif": "AVIF",
    "heic": "HEIF", "jp2": "JPEG 2000", "ppm": "PNM",
}  # fmt: skip
"""The format that the images of a field have, by the names of samples.other_formats."""
