# Parse the files of an algorithm without running them, and look for packages: {"files", "packages"} as JSON on standard
# input, {"problems", "missing"} as JSON on standard output. Started in the algorithm's directory.

clean <- function(text) iconv(text, "UTF-8", "UTF-8", sub = "byte")

problem <- function(name) {
  lines <- readLines(name, warn = FALSE, encoding = "UTF-8")
  if (length(lines) && startsWith(lines[[1]], "\ufeff")) lines[[1]] <- substring(lines[[1]], 2L)
  wrong <- which(!validUTF8(lines))
  if (length(wrong)) {
    return(list(file = name, line = wrong[[1]], message = "it is not UTF-8", source = clean(lines[[wrong[[1]]]])))
  }
  error <- tryCatch({
    parse(text = lines, keep.source = FALSE, encoding = "UTF-8")
    NULL
  }, error = conditionMessage)
  if (is.null(error)) return(NULL)
  first <- strsplit(error, "\n", fixed = TRUE)[[1]][[1]]
  found <- regmatches(first, regexec("^(.*?):([0-9]+):[0-9]+: (.*)$", first, perl = TRUE))[[1]]
  line <- if (length(found)) min(as.integer(found[[3]]), max(length(lines), 1L)) else 1L
  said <- if (length(found)) found[[4]] else first
  list(file = name, line = line, message = clean(said), source = if (length(lines)) lines[[line]] else "")
}

asked <- jsonlite::fromJSON(file("stdin"), simplifyVector = FALSE)
problems <- Filter(Negate(is.null), lapply(asked$files, problem))
missing <- Filter(function(name) !nzchar(system.file(package = name)), asked$packages)
cat(jsonlite::toJSON(list(problems = problems, missing = missing), auto_unbox = TRUE))
