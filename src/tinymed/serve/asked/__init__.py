"""A question on its way: what a client asks and hears, and what the audit is told of it."""
