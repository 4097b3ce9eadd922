"""The live feed: closed candles, logs of tasks and alerts over a web socket, ``/api/v1/live``."""
