"""The rim that door and server share: clock, settings, keys, logs, broker and MQTT link."""
