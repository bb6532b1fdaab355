"""Between `algo` and a plugin in an environment of its own: credentials, profiles and storages, over inherited sockets.

One end of a socket pair is inherited by the other process, whose environment names its descriptor. Over it only ends of
further socket pairs are passed, one for each conversation, so that any thread may begin one at any time. Nothing is
written to disk or stands in arguments.
"""
