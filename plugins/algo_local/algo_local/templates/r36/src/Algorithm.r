library(algorithmia)

# Called once, before the first request; what it returns becomes the second argument of algorithm().
load <- function() {
  list(greeting = "hello")
}

# Called for each request, with its input.
algorithm <- function(input, state) {
  paste(state$greeting, input)
}

# Waits for requests; only the platform starts this file.
getAlgorithmHandler(algorithm, load)$serve()
