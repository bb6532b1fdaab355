source("src/__ALGO__.R")

stopifnot(identical(algorithm("Jane"), "hello Jane"))
