"""The command line: parses, calls the engine, renders. No rules live here."""
