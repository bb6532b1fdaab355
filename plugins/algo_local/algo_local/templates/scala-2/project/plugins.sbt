addSbtPlugin("com.typesafe.sbt" % "sbt-native-packager" % "1.5.1")
