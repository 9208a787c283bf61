"""What was asked, answered and judged, in rows that a later hand cannot change unseen."""
