"""python -m gesso.sandbox --host 127.0.0.1 --port 8790"""

import argparse

from gesso.core.loading import loading


def main() -> None:
    with loading():
        from gesso.sandbox.app import serve

    parser = argparse.ArgumentParser(prog="gesso.sandbox", description="Runs the stand-in for the providers.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8790)
    arguments = parser.parse_args()
    serve(arguments.host, arguments.port)


if __name__ == "__main__":
    main()
