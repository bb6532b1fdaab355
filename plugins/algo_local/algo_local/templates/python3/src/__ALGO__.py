from Algorithmia import ADK

# The platform calls apply() once for each request. What arrives as text or JSON is a str, or whatever the JSON says;
# binary input is bytes. A str, bytes, or anything that JSON can express may be returned.


def apply(input):
    return "hello " + str(input)


# To load a model once, before the first request, write a load function that returns it, have apply take it as a second
# argument, and hand both over: ADK(apply, load).
algorithm = ADK(apply)
# Run as a file, this tries the algorithm with the given input; on the platform it waits for requests.
algorithm.init("Algorithmia")
