package com.algorithmia.algorithm;

import static org.junit.Assert.assertEquals;

import org.junit.Test;

public class AlgorithmTest {

    @Test
    public void greetsByName() {
        assertEquals("hello Jane", new Algorithm().apply("Jane"));
    }
}
