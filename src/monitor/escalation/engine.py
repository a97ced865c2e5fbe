"""The CEL engine: the compiled module of `common-expression-language` alone.

The package around it imports a shell for terminals, which would take 0.2 s of every worker's start.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from typing import Any

_NAME = "cel.cel"


def _load() -> Any:
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = find_spec("cel")
    spec = PathFinder.find_spec(_NAME, package.submodule_search_locations if package is not None else None)
    if spec is None or spec.loader is None:
        raise ImportError("common-expression-language is not installed: `pip install mention-monitor` brings it")
    module = module_from_spec(spec)
    sys.modules[_NAME] = module  # it can be loaded once in a process: whoever imports the package finds this one
    spec.loader.exec_module(module)
    return module


cel = _load()
