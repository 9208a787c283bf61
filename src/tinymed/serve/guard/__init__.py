"""What stands before every route, each guard one idea."""
