"""One answer against one reference: published metrics, and honest ones."""
