"""Small random models of each family of encoders."""

from __future__ import annotations

import torch
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedModel,
    XLMRobertaConfig,
    XLMRobertaModel,
)  # fmt: skip

SHAPE = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}
SPECIAL = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}


def model_of(family: str) -> PreTrainedModel:
    """Three random layers of 16 of a family."""
    torch.manual_seed(0)
    if family == "bert":
        return BertModel(BertConfig(**SHAPE))
    if family == "xlm-roberta":
        return XLMRobertaModel(XLMRobertaConfig(**SHAPE, pad_token_id=0))
    if family == "modernbert":
        return ModernBertModel(ModernBertConfig(**SHAPE, **SPECIAL))
    return DistilBertModel(DistilBertConfig(vocab_size=60, dim=16, n_layers=3, n_heads=2, hidden_dim=32))


FAMILIES = ("bert", "xlm-roberta", "modernbert", "distilbert")
