"""Probe: classification of texts by a logistic regression on the encoder's frozen, pooled vectors.

The data and the metrics are those of `classification`; what differs is what is learnt, see `tppc.evaluation.probing`.
"""

from __future__ import annotations

from dataclasses import replace

from tppc.evaluation.tasks import classification

TASK = replace(classification.TASK, name="probe", learner="probe", sample="classification")
