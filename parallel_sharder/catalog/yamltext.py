"""YAML: the one place that writes and reads it, so that a name from data stays the text that it is.

A set can be called `null`, `on`, `2`, `@a` or `x: y`. What is written is ASCII, which every reader takes, without
anchors, fields in the order they have. PyYAML is imported only when it is wanted.
"""

from __future__ import annotations

from typing import Any


def to_yaml(content: Any) -> str:
    """The content, of dicts, lists, texts and numbers, as YAML."""
    import yaml

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            """What stands twice is written twice."""
            return True

    text: str = yaml.dump(content, Dumper=Dumper, sort_keys=False)
    return text


def from_yaml(text: str) -> Any:
    """What a text of YAML holds. Raises ValueError for any other text."""
    import yaml

    try:
        return yaml.safe_load(text)
    except MemoryError:
        raise
    except Exception as error:  # half a dozen kinds, for the 31st of February, or a tag that does not fit
        raise ValueError("it is no YAML that can be read") from error
