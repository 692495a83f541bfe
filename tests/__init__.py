"""The tests. Their names are sentences; each folder says what it needs."""
