"""What an encoder's space is like, before and after training: measures that are no scores of a task."""
