"""Quality against cost: which models no other beats in both."""
