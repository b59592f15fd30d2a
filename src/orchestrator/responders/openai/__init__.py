"""Streaming chat completions of any OpenAI-compatible endpoint: Ollama, llama.cpp, vLLM, LM Studio, OpenAI itself."""

from orchestrator.responders.openai.endpoints import Endpoint, discover, look
from orchestrator.responders.openai.responder import OpenAIResponder

__all__ = ["Endpoint", "OpenAIResponder", "discover", "look"]
