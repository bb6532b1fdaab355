"""The interpreters of this machine that run algorithms: Python, Node.js and R."""
