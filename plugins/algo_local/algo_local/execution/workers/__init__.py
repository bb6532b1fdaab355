"""Workers on this machine: processes of algorithms, their sandbox and files, and how they are started and kept."""
