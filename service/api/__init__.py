"""The HTTP side: thin routes, wire models, pure mappers, one table of errors."""
