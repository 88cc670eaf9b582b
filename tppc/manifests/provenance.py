"""`provenance.json`: where the shards came from, as an in-toto Statement v1 (https://in-toto.io/Statement/v1) with the
SLSA provenance v1 predicate (https://slsa.dev/spec/v1.0/provenance).

It is not signed: it says what was done, and proves it to nobody. Its times are left out, so that the same data has the
same statement; `manifest.json` has them.
"""

from __future__ import annotations

from typing import Any

from tppc.corpora.files import canonical_json
from tppc.corpora.manifest import Manifest

NAME = "provenance.json"
BUILD_TYPE = "urn:tppc:build:v1"


def provenance(manifest: Manifest) -> bytes:
    """The bytes of `provenance.json`. The subjects are the shards."""
    return canonical_json(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": s.path, "digest": {"sha256": s.sha256}} for s in manifest.shards],
            "predicateType": "https://slsa.dev/provenance/v1",
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": {
                        "command": manifest.command,
                        "name": manifest.name,
                        "pairs": manifest.pairs,
                        "recipe": manifest.recipe,
                    },
                    "internalParameters": {
                        "recipeDigest": {"sha256": manifest.recipe_digest},
                        "buildDigest": {"sha256": manifest.build_digest},
                    },
                    "resolvedDependencies": _dependencies(manifest),
                },
                "runDetails": {
                    "builder": {"id": "urn:tppc:builder:unsigned", "version": manifest.versions},
                    "metadata": {"invocationId": f"urn:tppc:build:{manifest.build_digest}"},
                },
            },
        }
    )


def _dependencies(manifest: Manifest) -> list[dict[str, Any]]:
    """Everything that was read: snapshots, parents, the language-ID model, protected texts."""
    found: list[dict[str, Any]] = [
        {"name": s.name, "uri": s.url, "digest": {"sha256": s.sha256}, "annotations": {"bytes": s.bytes}}
        for s in manifest.snapshots
    ]
    found += [
        {"name": p.name, "uri": f"urn:tppc:build:{p.build_digest}", "annotations": {"version": p.version}}
        for p in manifest.parents
    ]
    if digest := manifest.language_id.get("sha256"):
        found.append({"name": manifest.language_id.get("model"), "digest": {"sha256": digest}})
    if digest := manifest.encoder.get("sha256"):
        found.append({"name": manifest.encoder.get("name"), "digest": {"sha256": digest}})
    return found + [{"name": p.name, "digest": {"sha256": p.sha256}} for p in manifest.protected]
