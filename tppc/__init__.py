"""tppc: translation-pair corpora, training on Translation Pair Prediction, and honest zero-shot evaluation.

Everything the command line does is one call here: `tppc.build`, `tppc.Corpus`, `tppc.PairStream`,
`tppc.load_config` and `tppc.train`, `tppc.evaluate`, `tppc.write_report`. Names are imported when they are first
used, so that `import tppc` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tppc.builders.build import build as build
    from tppc.builders.rebuild import rebuild as rebuild
    from tppc.builders.recipe import load_recipe as load_recipe
    from tppc.corpora.corpus import Corpus as Corpus
    from tppc.corpora.languages import parse_pair as parse_pair
    from tppc.corpora.stream import PairStream as PairStream
    from tppc.encoders.embed import embed as embed
    from tppc.encoders.load import load_encoder as load_encoder
    from tppc.evaluation.protocol import evaluate as evaluate
    from tppc.manifests.publication import publish as publish
    from tppc.manifests.pull import pull as pull
    from tppc.reports.report import write_report as write_report
    from tppc.training.config import load_config as load_config
    from tppc.training.trainer import train as train

__version__ = "0.1.0"

_WHERE = {
    "build": "tppc.builders.build",
    "rebuild": "tppc.builders.rebuild",
    "load_recipe": "tppc.builders.recipe",
    "Corpus": "tppc.corpora.corpus",
    "parse_pair": "tppc.corpora.languages",
    "PairStream": "tppc.corpora.stream",
    "embed": "tppc.encoders.embed",
    "load_encoder": "tppc.encoders.load",
    "evaluate": "tppc.evaluation.protocol",
    "publish": "tppc.manifests.publication",
    "pull": "tppc.manifests.pull",
    "write_report": "tppc.reports.report",
    "load_config": "tppc.training.config",
    "train": "tppc.training.trainer",
}
__all__ = ["__version__", *sorted(_WHERE)]  # noqa: PLE0604 - the names are those of the table above


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'tppc' has no attribute {name!r}")
