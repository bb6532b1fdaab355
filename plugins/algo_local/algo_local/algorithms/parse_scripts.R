# Parse the files of an algorithm without running them, and look for packages: {"files", "packages"} as JSON on standard
# input, {"problems", "missing"} as JSON on standard output. Started in the algorithm's directory.

problem <- function(name) {
  error <- tryCatch({
    parse(name, keep.source = FALSE, encoding = "UTF-8")
    NULL
  }, error = conditionMessage)
  if (is.null(error)) return(NULL)
  first <- strsplit(error, "\n", fixed = TRUE)[[1]][[1]]
  found <- regmatches(first, regexec("^(.*?):([0-9]+):[0-9]+: (.*)$", first, perl = TRUE))[[1]]
  lines <- readLines(name, warn = FALSE, encoding = "UTF-8")
  line <- if (length(found)) min(as.integer(found[[3]]), max(length(lines), 1L)) else 1L
  said <- if (length(found)) found[[4]] else first
  list(file = name, line = line, message = said, source = if (length(lines)) lines[[line]] else "")
}

asked <- jsonlite::fromJSON(file("stdin"), simplifyVector = FALSE)
problems <- Filter(Negate(is.null), lapply(asked$files, problem))
missing <- Filter(function(name) !nzchar(system.file(package = name)), asked$packages)
cat(jsonlite::toJSON(list(problems = problems, missing = missing), auto_unbox = TRUE))
