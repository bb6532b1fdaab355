// What the algorithm depends on, one line each:
// libraryDependencies += "org.typelevel" %% "cats-core" % "2.1.1"
