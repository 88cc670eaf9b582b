"""Step 4, `identify`: which language is a text in? `evidence` settles most, `lid` asks the model about the rest."""
