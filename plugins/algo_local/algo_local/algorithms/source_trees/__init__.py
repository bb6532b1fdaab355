"""Source trees: archives and directories of authors, their entry points, and copies named by their content."""
