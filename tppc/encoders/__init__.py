"""Load an encoder, pool, embed, find nearest neighbours: the one place that turns text into vectors."""
