"""Named recipes to start from: `preset = "strict"` in recipe.toml, or `--preset strict`.

A preset is a table of settings under the user's own: what `recipe.toml` or a flag says comes over it. What each costs
and catches is measured in docs/cleaning.md.
"""

from __future__ import annotations

from typing import Any

from tppc.builders.filters import FILTERS

_STRICT: dict[str, Any] = {
    "filters": {
        "mojibake": {"sequences": 1},
        "length": {"min_chars": 3, "max_chars": 500},
        "words": {"max_words": 100, "max_word_chars": 40},
        "near_identical": {"min_similarity": 0.75, "min_chars": 10},
        "url": {"max_share": 0.2},
        "code": {"max_share": 0.2},
        "letters": {"min_share": 0.5},
        "repetition": {"min_times": 4, "min_run": 8, "min_distinct_words": 0.45},
        "script": {"min_share": 0.6},
        "mixed_scripts": {"min_places": 1},
        "numbers": {"min_overlap": 0.8},
        "length_ratio": {"max_ratio": 1.9, "min_deviation": 1.6},
        "terminal_punctuation": {"max_ratio": 1.3},
        "sentences": {"min_difference": 1, "max_ratio": 1.3},
    },
}
# Posts: short, with links, names and pictures, several scripts, letters over and over, and no full stops.
_SOCIAL: dict[str, Any] = {
    "normalise": {"urls": "token", "mentions": "token", "elongations": "shorten"},
    "filters": {
        "url": {"max_share": 0.8},
        "letters": {"min_share": 0.2},
        "repetition": {"min_times": 12, "min_run": 24, "min_distinct_words": 0.2},
        "script": {"min_share": 0.2},
        "numbers": {"min_overlap": 0.34, "max_unmatched": 1},
        "length_ratio": {"max_ratio": 2.75, "min_deviation": 2.5},
        "terminal_punctuation": {"enabled": False},
        "sentences": {"min_difference": 3, "max_ratio": 1.75},
    },
}
_NONE: dict[str, Any] = {
    "filters": {f.name: {"enabled": False} for f in FILTERS},
    "language_id": {"enabled": False},
    "dedup": {"near": "off", "max_partners": 0},
}

#: By name; `default` is what the settings' own defaults say.
PRESETS: dict[str, dict[str, Any]] = {"default": {}, "strict": _STRICT, "social": _SOCIAL, "none": _NONE}
ABOUT = {
    "default": "harmless: keeps at least 99.7% of genuine pairs",
    "strict": "fewer and cleaner rows",
    "social": "posts: URLs and user names as tokens, elongations shortened, limits wide",
    "none": "no filter, no language ID, no near dedup; equal pairs still become one",
}
