"""`tppc corpora mix`: a corpus out of several (`mix`), which rows (`rows`), and how many of each (`shares`)."""
