"""Faust and aiokafka: the scoring consumer, the watching agent, topics, and the embedded broker."""
