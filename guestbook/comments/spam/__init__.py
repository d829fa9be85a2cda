"""What the spam rules look at: links, writing systems, repeated texts, learned words, floods."""
