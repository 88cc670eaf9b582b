"""Zero-shot evaluation: readers, tasks, heads, fine-tuning, the protocol, results and their tables."""
