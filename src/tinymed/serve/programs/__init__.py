"""What programs speak: OpenAI's and Ollama's shapes, so that their clients connect."""
