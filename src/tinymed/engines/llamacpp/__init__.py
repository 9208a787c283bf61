"""llama.cpp: GGUF files that run wherever it does, and an engine on its library; no compiler."""
