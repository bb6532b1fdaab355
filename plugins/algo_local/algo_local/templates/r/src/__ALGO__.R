# The platform calls algorithm() once for each request. What arrives as text is a character vector of length one, JSON is
# lists of lists, and binary input is a raw vector. One text, a raw vector, or anything that jsonlite can express may be
# returned.
algorithm <- function(input) {
  paste("hello", input)
}

# To load a model once, before the first request, define a function load() that returns it, and give algorithm() a second
# argument for it.
