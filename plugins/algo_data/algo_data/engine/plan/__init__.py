"""Planning: from sources and a destination to transfers, without moving a byte."""
