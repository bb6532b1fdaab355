# Run one algorithm by the platform's process protocol, in R 3.6 or later (API section 8.4): the counterpart of
# `runner.py`, which says what holds for both.
#
# Started as `Rscript --vanilla runner.R TREE MODULE ANSWERS`. The module is a file that defines `algorithm(input)`, and
# perhaps `load()`, whose result is then the second argument; or one that serves itself by the older form,
# `getAlgorithmHandler(algorithm, load)$serve()`. Needs the package jsonlite.

local({
  words <- commandArgs(trailingOnly = TRUE)
  tree <- words[[1]]
  module <- words[[2]]
  answers <- words[[3]]
  trace_depth <- 50L
  client <- "algorithmia" # the package of the platform's client, which older algorithms attach for its handler

  is_loading <- TRUE
  handled <- NULL # what getAlgorithmHandler()$serve() has registered
  last_message <- "" # of message() or warning(), while loading
  position <- NULL # the place of the module's expression that is evaluated

  # Write one line to the stream of answers, opened and closed for it alone as the protocol wants.
  answer <- function(line) {
    stream <- file(answers, "wb", raw = TRUE)
    on.exit(close(stream))
    writeLines(enc2utf8(line), stream, useBytes = TRUE)
  }

  json <- function(value) {
    as.character(jsonlite::toJSON(
      value, auto_unbox = TRUE, null = "null", na = "null", digits = I(15), POSIXt = "ISO8601", UTC = TRUE
    ))
  }

  # A text of bytes that JSON can hold.
  clean <- function(text) iconv(enc2utf8(paste(text, collapse = "\n")), "UTF-8", "UTF-8", sub = "byte")

  # FILE:LINE:COLUMN of a place in source.
  place <- function(source) {
    origin <- attr(source, "srcfile")
    name <- origin$filename
    if (!startsWith(name, "/")) name <- file.path(origin$wd, name)
    sprintf("%s:%d:%d", name, source[[1]], source[[5]])
  }

  # Whether a place is within that of a function.
  lies_in <- function(source, own) {
    !is.null(source) && identical(attr(source, "srcfile"), attr(own, "srcfile")) &&
      source[[1]] >= own[[1]] && source[[3]] <= own[[3]]
  }

  # The calls of functions whose source is known, which are the author's, innermost first.
  frames <- function() {
    calls <- sys.calls()
    found <- character()
    for (number in rev(seq_along(calls))) {
      own <- attr(sys.function(number), "srcref")
      if (is.null(own)) next
      at <- if (number < length(calls)) attr(calls[[number + 1L]], "srcref")
      name <- deparse(calls[[number]][[1]], nlines = 1L)[[1]]
      found <- c(found, sprintf("    at %s (%s)", name, place(if (lies_in(at, own)) at else own)))
      if (length(found) >= trace_depth) break
    }
    c(found, if (is_loading && !is.null(position)) sprintf("    at top level (%s)", place(position)))
  }

  # The error object of the protocol; the member `error_type` of the condition, where there is one, names the kind.
  failure <- function(error, trace, kind) {
    message <- clean(conditionMessage(error))
    if (!nzchar(message)) message <- class(error)[[1]]
    if (inherits(error, "packageNotFoundError")) message <- sprintf("there is no package called '%s'", error$package)
    said <- if (is.list(error)) error[["error_type"]]
    if (is.character(said) && length(said) == 1L) kind <- said
    lines <- paste0(c(paste("Error:", message), trace), "\n", collapse = "")
    json(list(error = list(message = message, error_type = kind, stacktrace = clean(lines))))
  }

  # The result object of the protocol: raw vectors are binary, one text is text, all else is JSON.
  result <- function(value) {
    if (is.function(value) || is.environment(value)) {
      stop(sprintf("The result is of type %s, which JSON cannot express", typeof(value)), call. = FALSE)
    }
    kind <- "json"
    if (is.raw(value)) {
      kind <- "binary"
      value <- gsub("\n", "", jsonlite::base64_enc(value), fixed = TRUE)
      text <- paste0("\"", value, "\"")
    } else if (inherits(value, "json")) {
      text <- paste(value, collapse = "\n")
    } else {
      is_text <- is.character(value) && length(value) == 1L && !is.na(value) && !inherits(value, "AsIs")
      if (is_text) kind <- "text"
      text <- json(if (is_text) as.vector(value) else value)
    }
    sprintf("{\"result\":%s,\"metadata\":{\"content_type\":\"%s\"}}", text, kind)
  }

  # The line that answers for a piece of work: its value, or the error that ended it.
  attempt <- function(work, kind, on_error = identity) {
    trace <- character()
    tryCatch(
      withCallingHandlers(work(), error = function(error) trace <<- frames()),
      error = function(error) on_error(failure(error, trace, kind))
    )
  }

  # Answer that loading has failed, which nothing follows.
  loading_failed <- function(line) {
    answer(line)
    base::quit("no", 1L, runLast = FALSE)
  }

  # quit() as the algorithm sees it. While a call runs, the platform sees the exit code.
  leave <- function(save = "no", status = 0, runLast = TRUE) {
    if (!is_loading) base::quit("no", status, runLast)
    reason <- if (nzchar(last_message)) paste(":", last_message) else ""
    reason <- sprintf("quit(status = %d) was called while it was loading%s", as.integer(status), sub("^ ", "", reason))
    loading_failed(failure(simpleError(reason), frames(), "LoadingError"))
  }

  # The older form: the platform serves, as soon as the file is loaded.
  handler <- function(apply, load = NULL) {
    list(serve = function() handled <<- list(algorithm = apply, load = load))
  }

  # Attach the platform's client where it is installed, behind ours, whose handler counts; skip it where it is not.
  attaches_client <- function(expression) {
    if (!is.call(expression) || length(expression) < 2L) return(FALSE)
    if (!as.character(expression[[1]])[[1]] %in% c("library", "require")) return(FALSE)
    identical(as.character(expression[[2]])[[1]], client)
  }

  evaluate <- function(expression) {
    if (!attaches_client(expression)) {
      eval(expression, globalenv())
    } else if (requireNamespace(client, quietly = TRUE)) {
      library(client, character.only = TRUE, pos = match("algorithm", search()) + 1L)
    }
  }

  # The algorithm as a function of one input, and whether it is of the older form.
  load_module <- function() {
    path <- file.path(tree, module)
    lines <- readLines(path, warn = FALSE, encoding = "UTF-8")
    if (length(lines) && startsWith(lines[[1]], "\ufeff")) lines[[1]] <- substring(lines[[1]], 2L)
    origin <- srcfilecopy(path, lines, isFile = TRUE)
    expressions <- parse(text = lines, srcfile = origin, keep.source = TRUE, encoding = "UTF-8")
    places <- attr(expressions, "srcref")
    for (number in seq_along(expressions)) {
      position <<- places[[number]]
      evaluate(expressions[[number]])
    }
    position <<- NULL
    own <- function(name) get0(name, globalenv(), mode = "function", inherits = FALSE)
    found <- if (is.null(handled)) list(algorithm = own("algorithm"), load = own("load")) else handled
    algorithm <- found$algorithm
    if (!is.function(algorithm)) {
      stop(module, " defines no function algorithm: write algorithm <- function(input) { ... }", call. = FALSE)
    }
    load <- found$load
    state <- if (is.function(load) && length(formals(load)) == 0L) list(load()) else list()
    takes_state <- length(state) && length(formals(algorithm)) > 1L
    apply <- if (takes_state) function(input) algorithm(input, state[[1]]) else function(input) algorithm(input)
    list(apply = apply, is_older = !is.null(handled))
  }

  # The input of a request line. Older algorithms get vectors for arrays of simple values, all others get lists.
  input_of <- function(line, is_older) {
    if (grepl("\\u0000", line, fixed = TRUE) && grepl("(?<!\\\\)(?:\\\\\\\\)*\\\\u0000", line, perl = TRUE)) {
      stop("The input has a text with the character U+0000, which R cannot hold", call. = FALSE)
    }
    request <- jsonlite::parse_json(
      line, simplifyVector = is_older, simplifyDataFrame = FALSE, simplifyMatrix = FALSE
    )
    if (identical(request$content_type, "binary")) jsonlite::base64_dec(request$data) else request$data
  }

  if (!requireNamespace("jsonlite", quietly = TRUE)) {
    loading_failed(paste0(
      "{\"error\":{\"message\":\"there is no package called 'jsonlite'\",",
      "\"error_type\":\"LoadingError\",\"stacktrace\":\"\"}}"
    ))
  }
  options(warn = 1L, keep.source = TRUE)
  visible <- attach(NULL, name = "algorithm", warn.conflicts = FALSE)
  assign("quit", leave, visible)
  assign("q", leave, visible)
  assign("getAlgorithmHandler", handler, visible)
  note <- function(condition) last_message <<- sub("\n.*", "", conditionMessage(condition))
  loaded <- attempt(
    function() withCallingHandlers(load_module(), message = note, warning = note),
    "LoadingError", loading_failed
  )
  is_loading <- FALSE
  while (sink.number() > 0L) sink()
  cat("PIPE_INIT_COMPLETE\n")
  requests <- file("stdin", "r")
  while (length(line <- readLines(requests, 1L, warn = FALSE))) {
    tempdir(check = TRUE) # which the call before may have left, and the platform has then removed
    answer(attempt(function() result(loaded$apply(input_of(line, loaded$is_older))), "AlgorithmError"))
  }
})
