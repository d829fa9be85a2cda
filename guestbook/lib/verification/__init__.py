"""The ways to verify who sent a webhook: `kinds` has one entry each, `verify_signature` checks."""
