"""The staged checkpoint's manifest: digests that a template cannot know."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.files import WorldFile


def extend(
    facts: Mapping[str, Any], files: Sequence[WorldFile], rng: random.Random
) -> tuple[dict[str, Any], list[WorldFile]]:
    """Add `manifest.json` as the transfer wrote it, before a shard was damaged.

    Args:
        facts: What the setting knows so far.
        files: The world so far; the staged shards among them.
        rng: This variant's source of chance.

    Returns:
        The fact `manifest` (the parsed document) and the file.
    """
    staging = facts["checkpoints"]["staging"]
    manifest = {
        "model": staging["name"],
        "format": "safetensors",
        "transfer_id": f"tr-{rng.getrandbits(40):010x}",
        "shards": [shard | {"status": "staged"} for shard in staging["shards"]],
    }
    written = max(f.mtime for f in files if f.path.startswith(f"{staging['path']}/model-"))
    data = (json.dumps(manifest, indent=2) + "\n").encode()
    file = WorldFile(f"{staging['path']}/manifest.json", data, 0o644, written + rng.randrange(1, 9))
    return {"manifest": manifest}, [file]
