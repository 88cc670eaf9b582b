"""Translation language modelling: masked language modelling over the two texts of a pair as one input.

    L = - mean over the guessed tokens of log p(token | the rest of both texts)

(Conneau and Lample 2019, section 3.3.) A word can be guessed from its translation, which draws the languages together
token by token. Unlike there, positions run on over both texts and there are no language embeddings, as encoders of
today have none; the tokens that part the texts are the tokeniser's own for a pair.
"""

from __future__ import annotations

from tppc.training.objectives import MaskedObjective, MaskedSettings

Settings = MaskedSettings


class Tlm(MaskedObjective):
    """Both texts of a pair an input."""

    pairs = True


def build(settings: MaskedSettings, hidden_size: int) -> Tlm:
    """The objective; its head belongs to the model, which shares it with `mlm`."""
    return Tlm(settings)
