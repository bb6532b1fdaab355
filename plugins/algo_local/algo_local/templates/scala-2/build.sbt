name := "algorithm"
organization := "algorithmia"
version := "0.1"
scalaVersion := "2.13.1"

// Makes target/universal/stage, which is what the platform starts.
enablePlugins(JavaAppPackaging)

libraryDependencies ++= Seq(
  "com.algorithmia" %% "algorithmia-scala" % "1.0.1",
  "org.scalatest" %% "scalatest" % "3.0.8" % Test
)
