# Copyright (c) 2026, winfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Parse YAML files; a key that comes twice is an error, which PyYAML by itself lets pass."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    pass


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    pairs = [(loader.construct_object(key, deep=True), value) for key, value in node.value]
    seen: set[Any] = set()
    for key, value in pairs:
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} comes twice", value.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def main(names: list[str]) -> int:
    """Parse each file and return 1 if one of them is no YAML."""
    bad = 0
    for name in names:
        try:
            list(yaml.load_all(Path(name).read_text(encoding="utf-8"), _Loader))
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            print(f"{name}: {error}")
            bad = 1
    return bad


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
