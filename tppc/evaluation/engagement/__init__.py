"""Social engagement: interactions of users with texts, projections learnt on them, ranks of held-out ones."""
