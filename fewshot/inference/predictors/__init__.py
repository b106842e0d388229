"""The ways to segment a query: one contract, chosen by a name and its settings."""
