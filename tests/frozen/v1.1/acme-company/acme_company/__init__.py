"""Acme company, a company's bundle for algo."""
