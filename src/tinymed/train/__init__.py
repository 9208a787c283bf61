"""Fine-tuning: one loop, many recipes."""
