package com.algorithmia

import com.algorithmia.handler.AbstractAlgorithm

import scala.util.Try

/** Greets whoever the input names. */
class Algorithm extends AbstractAlgorithm[String, String] {

  private var greeting = ""

  /** Called once, before the first request. */
  override def load: Try[Unit] = Try {
    greeting = "hello"
  }

  /** Called for each request, with its input. */
  override def apply(input: String): Try[String] = Try(s"$greeting $input")
}

/** Waits for requests; only the platform starts this. */
object Algorithm {
  def main(arguments: Array[String]): Unit = Algorithmia.handler(new Algorithm).serve()
}
