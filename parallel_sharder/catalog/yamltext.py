"""YAML as text: the one place that writes and reads it, so that names from data stay text.

A set can be called `null`, `on`, `2`, `@a` or `x: y`. The output is ASCII, which every reader takes, without anchors,
and keeps the order of fields. PyYAML is imported only when it is used.
"""

from __future__ import annotations

from typing import Any


def to_yaml(content: Any) -> str:
    """Return the content, which consists of dicts, lists, texts and numbers, as YAML."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            """Return True: an object that occurs twice is written twice, without an anchor."""
            return True

    text: str = yaml.dump(content, Dumper=Dumper, sort_keys=False)
    return text


def from_yaml(text: str) -> Any:
    """Return the content of a text in YAML. Raises ValueError for any other text."""
    import yaml

    try:
        return yaml.safe_load(text)
    except MemoryError:
        raise
    except Exception as error:  # several classes, for the 31st of February, or a tag that does not fit
        raise ValueError("it is no YAML that can be read") from error
