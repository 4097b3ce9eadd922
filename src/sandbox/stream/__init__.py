"""The WebSocket side: connections and what they may say, frames, and the pump that sends them."""
