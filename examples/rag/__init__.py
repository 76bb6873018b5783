"""An ordinary service that answers questions about a made-up product: FastAPI, DSPy and the openai client."""
