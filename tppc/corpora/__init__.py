"""What a corpus is: languages, rows, keys, shards, the manifest, and the stream a trainer reads."""
