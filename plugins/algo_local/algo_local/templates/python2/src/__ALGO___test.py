from . import __ALGO__ as algorithm


def test___ALGO__():
    assert algorithm.apply("Jane") == "hello Jane"
