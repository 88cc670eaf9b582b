"""Figures and the HTML report: reads corpora, runs and results, writes one page that needs nothing else."""
