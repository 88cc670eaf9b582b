"""Masked language modelling: guess tokens that were taken out of a text.

    L = - mean over the guessed tokens of log p(token | the rest of its text)

(Devlin et al. 2019, section 3.1.) Beside a contrastive objective it keeps the states of tokens useful for labelling:
TwHIN-BERT adds it to NT-Xent (the weight of the contrastive part is 0.05 there). It reads the texts of the pairs, or
unpaired ones where the run has them. The head is the encoder's own where its file has one; only the guessed positions
go through it, since a guess over 120,000 tokens costs as much as the encoder does for a token.
"""

from __future__ import annotations

from tppc.training.objectives import MaskedObjective, MaskedSettings

Settings = MaskedSettings


class Mlm(MaskedObjective):
    """One text an input."""

    pairs = False


def build(settings: MaskedSettings, hidden_size: int) -> Mlm:
    """The objective; its head belongs to the model, which shares it with `tlm`."""
    return Mlm(settings)
