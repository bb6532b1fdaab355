"""The core's own commands; they work however broken the plugins are."""
