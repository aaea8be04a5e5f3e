"""InvokeAI of every age, by the texts a file has: the newest form that can be read counts.

| version | texts |
| 1 | `Dream` | 2 | `Dream`, `sd-metadata` | 3 beta | `invokeai` | 3 and later | `invokeai_metadata`, `invokeai_graph` |
"""

from __future__ import annotations

from collections.abc import Mapping

from invoke_shell.metadata.foreign import loose
from invoke_shell.metadata.foreign.result import Foreign

__all__ = ["read"]


def read(tool: str, texts: Mapping[str, str], size: tuple[int, int]) -> Foreign | None:
    """The picture, from the first text that tells of one."""
    from invoke_shell.metadata.foreign import dream, invokeai2, invokeai3

    dreamt = texts.get("Dream", texts.get("dream", ""))
    if data := loose.mapping(loose.loads(texts.get("invokeai_metadata", ""))):
        return invokeai3.picture(tool, data)
    if data := loose.mapping(loose.loads(texts.get("sd-metadata", ""))):
        return invokeai2.picture(tool, data, dream.parse(dreamt))
    if data := loose.mapping(loose.loads(texts.get("invokeai", ""))):
        return invokeai3.beta(tool, data)
    if data := loose.mapping(loose.loads(texts.get("invokeai_graph", ""))):
        return invokeai3.graph(tool, data)
    if dreamt.strip():
        return invokeai2.dreamt(tool, dream.parse(dreamt))
    return invokeai3.workflow(tool) if "invokeai_workflow" in texts else None
