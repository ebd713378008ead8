"""python -m demo_operator <command>"""

import sys

from demo_operator.main import component


def main() -> None:
    sys.exit(component.main())


if __name__ == "__main__":
    main()
