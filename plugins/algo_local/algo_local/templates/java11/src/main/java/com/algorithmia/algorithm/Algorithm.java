package com.algorithmia.algorithm;

import com.algorithmia.development.Handler;

/** Greets whoever the input names. */
public class Algorithm {

    /** Called for each request, with its input. */
    public String apply(String input) {
        return "hello " + input;
    }

    /** Waits for requests; only the platform starts this. */
    public static void main(String[] arguments) {
        Algorithm algorithm = new Algorithm();
        new Handler<>(algorithm.getClass(), algorithm::apply).serve();
    }
}
