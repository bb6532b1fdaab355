from . import __ALGO__ as algorithm


def test_greets_by_name():
    assert algorithm.apply("HAL 9000") == "Hello HAL 9000"
