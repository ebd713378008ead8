"""python -m customer_360 <command>"""

import sys

from customer_360.main import component


def main() -> None:
    sys.exit(component.main())


if __name__ == "__main__":
    main()
