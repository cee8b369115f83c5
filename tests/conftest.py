"""Options of the test run."""


def pytest_addoption(parser):
    parser.addoption("--renew", action="store_true", help="rewrite golden files")
