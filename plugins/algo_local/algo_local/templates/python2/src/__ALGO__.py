# The platform calls apply() once for each request, with its input: text, binary data, or what the JSON says.


def apply(input):
    return "hello {}".format(input)
