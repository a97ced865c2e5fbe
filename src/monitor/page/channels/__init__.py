"""One module per channel; each is a small `Notifier` that tries once and says what became of it."""
