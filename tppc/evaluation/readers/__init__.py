"""Readers of labelled data: one file a format, all yielding the canonical forms of `forms`."""
