"""python -m service_quality <command>"""

import sys

from service_quality.main import component


def main() -> None:
    sys.exit(component.main())


if __name__ == "__main__":
    main()
