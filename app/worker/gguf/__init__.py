"""GGUF files, as llama.cpp reads them, written from MLX arrays."""
