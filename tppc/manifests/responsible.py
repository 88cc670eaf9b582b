"""The responsible-AI properties of a corpus (http://mlcommons.org/croissant/RAI/1.0): how it was collected and worked
on, what it is for, what is wrong with it. All of it follows from the manifest.
"""

from __future__ import annotations

from typing import Any

from tppc.corpora.languages import language
from tppc.corpora.manifest import Manifest

_STEPS = (
    "Texts: Unicode NFC, white space folded, zero-width space, word joiner and BOM removed; no mark is stripped.",
    "Exact duplicates (both sides equal after NFKC, case folding and folding of white space) are taken out.",
)
_PERSONAL = (
    "The texts are public and may name people, living ones among them (titles, labels, example sentences); they were "
    "not searched for personal data.",
)
_AUTHORS = "The column `attribution` and ATTRIBUTION.tsv.gz hold the user names of authors, as the licence asks."


def responsible_ai(manifest: Manifest) -> dict[str, Any]:
    """Properties with the prefix `rai:`, those that have something to say."""
    found: dict[str, Any] = {
        "rai:dataCollection": _collection(manifest),
        "rai:dataCollectionType": ["Secondary Data Analysis"],
        "rai:dataCollectionRawData": _raw(manifest),
        "rai:dataCollectionMissingData": _missing(manifest),
        "rai:dataImputationProtocol": "None: no value was filled in.",
        "rai:dataPreprocessingProtocol": [*_STEPS, *_filters(manifest)],
        "rai:machineAnnotationTools": _tools(manifest),
        "rai:dataBiases": _biases(manifest),
        "rai:dataLimitations": manifest.limits,
        "rai:dataUseCases": [
            "Training and continued pre-training of multilingual text encoders on translation pairs.",
            "Evaluation of cross-lingual retrieval, on held-out splits where there are any.",
            "Not for training a translator of quality without further cleaning, and not for judging people.",
        ],
        "rai:personalSensitiveInformation": [
            *_PERSONAL,
            *([_AUTHORS] if any("CC-BY" in name for name in manifest.licences) else []),
        ],
        "rai:dataReleaseMaintenancePlan": "A version never changes. A new one follows Croissant's rule: PATCH for the "
        "same rows packaged anew, MINOR for added rows, MAJOR for rows that were changed, removed or moved to another "
        "split.",
    }
    return {name: value for name, value in found.items() if value}


def _collection(manifest: Manifest) -> str:
    said = [f"{source}: {facts.about} ({facts.citation})" for source, facts in manifest.sources.items()]
    made = f" Mixed from {', '.join(f'{p.name} {p.version}' for p in manifest.parents)}." if manifest.parents else ""
    return f"Taken from published sources, not collected anew. {'; '.join(said)}.{made}"


def _raw(manifest: Manifest) -> str:
    return "; ".join(f"{s.name}, {s.bytes} bytes, SHA-256 {s.sha256}" for s in manifest.snapshots)


def _missing(manifest: Manifest) -> str:
    funnel = manifest.funnel
    refused = ", ".join(f"{name} {count}" for name, count in funnel.rejected.items()) or "none"
    dropped = ", ".join(f"{name} {count}" for name, count in funnel.dropped.items()) or "none"
    return (
        f"Of {funnel.read} rows read, {sum(funnel.kept.values())} were kept; refused by filter: {refused}; duplicates: "
        f"{funnel.deduplicated}; dropped by rule: {dropped}. Up to 1,000 rows of each reason are in rejects.jsonl.gz."
    )


def _filters(manifest: Manifest) -> list[str]:
    """What each filter was set to, for those that could refuse something."""
    filters = manifest.recipe.get("filters")
    if not isinstance(filters, dict):
        return []
    said = []
    for name, settings in filters.items():
        if isinstance(settings, dict) and settings.get("enabled", True):
            values = ", ".join(f"{key} {value}" for key, value in settings.items() if key != "enabled")
            said.append(f"Filter `{name}`{': ' if values else ''}{values}.")
    return said


def _tools(manifest: Manifest) -> list[str]:
    model = manifest.language_id.get("model")
    digest = manifest.language_id.get("sha256")
    asked = [f"Language identification: fastText {model}, SHA-256 {digest}"] if model else []
    if name := manifest.encoder.get("name"):
        asked.append(f"Scores of pairs: the encoder {name}, SHA-256 {manifest.encoder.get('sha256')}")
    return asked


def _biases(manifest: Manifest) -> list[str]:
    names = ", ".join(language(code).name for code in manifest.languages)
    said = [
        f"The topics, registers and varieties of {names} are those of the sources' volunteers and of what they chose "
        "to write about or translate; no group of speakers was sampled.",
        "Filters and language identification work better for some languages and for longer texts; short texts of "
        "languages that share a script are told apart worst.",
    ]
    for pair, splits in manifest.statistics.items():
        for side in ("src", "tgt"):
            repeated = getattr(splits.get("train"), f"{side}_repeated", None)
            if repeated and repeated.texts:
                text, count = repeated.texts[0]
                share = count / max(1, splits["train"].rows)
                if share >= 0.01:
                    said.append(f"{pair}: {share:.0%} of the train rows share the {side} text {text!r}.")
    return said
