"""A picture in the terminal: by its graphics (sixel or kitty's) if it has them, else by coloured half blocks."""

from __future__ import annotations

import logging
import shutil
from typing import TYPE_CHECKING

from parallel_sharder.errors import missing_package

if TYPE_CHECKING:
    from parallel_sharder.inspection.picture import Picture

_LINES_LEFT = 4
"""How many lines of the terminal stay for the prompt and the text below the picture."""


def refuse_without_package() -> None:
    """Raise MissingPackageError if no picture can be shown, because the package that shows it is not installed."""
    import importlib.util

    if any(importlib.util.find_spec(name) is None for name in ("PIL", "rich", "textual_image")):
        raise missing_package("--show needs the packages pillow and textual-image", "report")


def has_colours() -> bool:
    """Return whether the terminal has colours, as far as its name says."""
    from rich.console import Console

    return Console().color_system is not None


def show(picture: Picture) -> None:
    """Draw the picture in the terminal, as large as fits, and what is to be said of it."""
    logging.getLogger("textual_image").setLevel(logging.CRITICAL)  # it tells what the terminal does not answer
    from rich.console import Console
    from textual_image.renderable import Image

    columns, lines = shutil.get_terminal_size()
    image = picture.image
    # A cell is about twice as high as it is wide.
    fitting = 2 * max(1, lines - _LINES_LEFT) * image.width // image.height
    width = max(1, min(columns, fitting))
    console = Console(highlight=False, markup=False)
    console.print(Image(image, width=width, height="auto"))
    if picture.is_turned:
        console.print("The image is shown turned, as its EXIF data say.")
