"""Step 5, `select`: rules that need more than one bucket. `steps` runs them, in the order that it states."""
