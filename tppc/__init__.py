"""tppc: translation-pair corpora, training on Translation Pair Prediction, and honest zero-shot evaluation."""

__version__ = "0.1.0"
